# Placeholder until the rooms land.
test:
	swift build --build-tests
