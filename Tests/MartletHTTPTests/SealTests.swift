import MartletHTTP
import Testing

@Suite("Sealed bytes") struct SealTests {
    @Test func areOpenedByTheirKeyOnly() {
        let key = [UInt8](repeating: 7, count: 32)
        let text = Array("the authorities' keys".utf8)
        let sealed = Secrets.seal(text, key: key)
        #expect(Secrets.open(sealed, key: key) == text)
        #expect(Secrets.seal(text, key: key) != sealed)
        #expect(Secrets.open(sealed, key: [UInt8](repeating: 8, count: 32)) == nil)
        for place in sealed.indices {
            var changed = sealed
            changed[place] ^= 1
            #expect(Secrets.open(changed, key: key) == nil)
        }
        for count in 0..<sealed.count { #expect(Secrets.open(Array(sealed.prefix(count)), key: key) == nil) }
        #expect(Secrets.open(Secrets.seal([], key: key), key: key) == [])
    }
}
