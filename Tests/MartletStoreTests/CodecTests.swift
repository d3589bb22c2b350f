import MartletBase
import Testing

@testable import MartletStore

@Suite struct TheCodecs {
    @Test func readCommandsThatTheyWroteAndNeverTrapOnOthers() throws {
        var draw = Draw(seed: 11)
        var accepted = 0
        var mistakes = 0
        for _ in 0..<6_000 {
            let command = draw.anyCommand()
            let bytes = command.encoded()
            if try Command(decoding: bytes) != command { mistakes += 1 }
            let damaged = draw.damage(bytes)
            // Whatever is still accepted must be what its bytes say, and nothing else.
            if let read = try? Command(decoding: damaged) {
                if read.encoded() != damaged { mistakes += 1 }
                accepted += 1
            }
        }
        #expect(mistakes == 0)
        #expect(accepted > 0 && accepted < 5_000)
    }

    /// A lone put is read, and carried out, by a way of its own, which must come to the same as the one for all.
    @Test func knowALonePutFromAllElse() throws {
        var draw = Draw(seed: 13)
        var store = Store(historyLimit: 100)
        var lone = 0
        for round in 0..<6_000 {
            let puts = (0..<(round % 7 == 0 ? 2 : 1)).map { _ in Operation.put(draw.put()) }
            var command = draw.anyCommand()
            if round % 2 == 0 { command.kind = .transaction(Transaction(then: puts)) }
            var bytes = command.encoded()
            if round % 3 == 0 { bytes = draw.damage(bytes) }
            let found = Command.lonePut(decoding: bytes)
            guard let read = try? Command(decoding: bytes), case .transaction(let transaction) = read.kind,
                case .put(let put)? = transaction.success.first,
                transaction == Transaction(then: [.put(put)])
            else {
                #expect(found == nil)
                continue
            }
            #expect(found?.put == put && found?.authRevision == read.authRevision)
            lone += 1
            var other = store
            let left = Result { () throws(CommandRefusal) in try store.transact(put) }
            let right = Result { () throws(CommandRefusal) in try other.transact(transaction) }
            #expect(left == right && store.stateHash == other.stateHash && store.revision == other.revision)
        }
        #expect(lone > 1_000 && store.revision > 1_000)
    }

    @Test func readMemberCommandsAloneToo() throws {
        var draw = Draw(seed: 12)
        for _ in 0..<300 {
            guard case .member(let command) = draw.anyCommand().kind else { continue }
            #expect(try MemberCommand(decoding: command.encoded()) == command)
            let damaged = draw.damage(command.encoded())
            if let read = try? MemberCommand(decoding: damaged) { #expect(read.encoded() == damaged) }
        }
    }

    @Test func refuseTransactionsThatAreTooDeepInsteadOfOverflowingTheStack() throws {
        func nested(_ depth: Int) -> Transaction {
            (1..<depth).reduce(Transaction(then: [])) { inner, _ in Transaction(then: [.transaction(inner)]) }
        }
        let limit = Transaction.nestingLimit
        #expect(try Command(decoding: nested(limit).encoded()) == Command(.transaction(nested(limit))))
        #expect(throws: ByteCodecError.self) { try Command(decoding: nested(limit + 1).encoded()) }
        // Bytes that only open transactions, four million of them.
        var hostile: [UInt8] = [Command.formatVersion, 0, 1]
        for _ in 0..<200_000 { hostile += [0, 0, 0, 0, 1, 0, 0, 0, 4] }
        #expect(throws: ByteCodecError.self) { try Command(decoding: hostile) }
    }

    @Test func refuseCountsThatTheBytesCannotHold() {
        let conditions: [UInt8] = [Command.formatVersion, 0, 1, 0xFF, 0xFF, 0xFF, 0x7F]
        #expect(throws: ByteCodecError.self) { try Command(decoding: conditions) }
        #expect(throws: ByteCodecError.self) { try Command(decoding: [1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]) }
    }

    @Test func readImagesThatTheyWroteAndNeverTrapOnOthers() throws {
        var store = Store(historyLimit: 10)
        let commands: [Command.Kind] = [
            .member(.genesis(clusterID: 7, members: [MemberInfo(id: 1, name: "a", peerURLs: ["https://a"])])),
            .grantLease(id: 5, ttl: 60), .grantLease(id: -5, ttl: 6),
            .auth(.addUser(name: "root", passwordHash: [9, 9])), .auth(.addUser(name: "bot", passwordHash: nil)),
            .auth(.addRole(name: "r")), .auth(.grantPermission(role: "r", Permission(.read, .all))),
            .auth(.grantRole(user: "root", role: "root")), .auth(.grantRole(user: "bot", role: "r")), .auth(.enable),
            .transaction(Transaction(then: [.put(Put([1], [2], lease: 5))])),
        ]
        for (index, kind) in commands.enumerated() {
            _ = try store.apply(index: UInt64(index) + 1, payload: Command(kind).encoded()).result.get()
        }
        let bytes = store.image.encoded()
        #expect(try StoreImage(decoding: bytes) == store.image)
        var draw = Draw(seed: 13)
        var accepted = 0
        for _ in 0..<5_000 {
            let damaged = draw.damage(bytes)
            guard let image = try? StoreImage(decoding: damaged) else { continue }
            accepted += 1
            // Whatever was accepted makes a store or is refused, but does not trap.
            var loader = Store.Loader(image, historyLimit: 10)
            try? loader.add(
                StoredVersion(
                    store.get([1]) ?? KeyValue(key: [], value: [], createRevision: 1, modRevision: 1, version: 1)))
            _ = try? loader.finish()
        }
        #expect(accepted > 0 && accepted < 5_000)
    }
}
