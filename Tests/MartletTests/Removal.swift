import Foundation

/// Removes a folder of a test.
func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }
