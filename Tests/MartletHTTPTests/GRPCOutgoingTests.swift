import Testing

@testable import MartletHTTP

@Suite struct GRPCOutgoingMessages {
    /// However messages are cut in two and however they are taken, the bytes are those of whole messages.
    @Test func partsMakeNoDifference() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var outgoing = GRPCOutgoing()
            var expected: [UInt8] = []
            var taken: [UInt8] = []
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                let count = Int.random(in: 0...400, using: &random) * Int.random(in: 0...1, using: &random)
                let message = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                let cut = Int.random(in: 0...count, using: &random)
                outgoing.append(Array(message[..<cut]), Array(message[cut...]))
                expected += GRPCDeframer.frame(message)
                #expect(outgoing.count == expected.count - taken.count)
                if Bool.random(using: &random) { outgoing.take(.random(in: 0...500, using: &random), into: &taken) }
            }
            while outgoing.count > 0 { outgoing.take(.random(in: 1...500, using: &random), into: &taken) }
            #expect(taken == expected)
        }
    }
}
