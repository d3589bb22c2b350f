import MartletBase
import MartletRoutes

/// A kernel of the test's own: takes transactions as the real one does, refusals included, and judges packets by what
/// the tables then hold, as far as filters go.
struct NftMachine {
    struct Refusal: Error { var what: String }

    /// A packet by its parts.
    struct Packet {
        var source: IPAddress
        var destination: IPAddress
        var protocolNumber: UInt8 = 6
        var port: UInt16 = 80
        var isNew = true
        var icmpType: UInt8?

        var network: [UInt8] {
            let before = source.family == .ipv4 ? 12 : 8
            return [UInt8](repeating: 0, count: before) + source.bytes + destination.bytes
        }
        var transport: [UInt8] {
            icmpType.map { [$0, 0, 0, 0] } ?? [0x30, 0x39, UInt8(port >> 8), UInt8(port & 255)]
        }
    }
    struct Table: Hashable {
        var chains: [String: NftChain] = [:]
        var sets: [String: [NftKey: NftVerdict?]] = [:]
    }

    private(set) var tables: [String: Table] = [:]

    /// All of it, or nothing.
    mutating func commit(_ transactions: [NftTransaction]) throws {
        for transaction in transactions {
            let place = "\(transaction.family) \(transaction.table)"
            var table = tables[place]
            for change in transaction.changes {
                if case .addTable = change {
                    table = table ?? Table()
                } else if case .removeTable = change {
                    if table == nil { throw Refusal(what: "no table \(place)") }
                    table = nil
                } else if table == nil {
                    throw Refusal(what: "no table \(place)")
                } else {
                    try table?.take(change)
                }
            }
            tables[place] = table
        }
    }

    /// Whether a packet that is forwarded gets through.
    func passes(_ packet: Packet, bridged: Bool = false) -> Bool {
        let family = bridged ? NftFamily.bridge : NftFamily(packet.source.family)
        let chains = tables.filter { $0.key.hasPrefix("\(family) ") }.values.flatMap { table in
            table.chains.values.filter { $0.hook?.point == .forward }.map { (table, $0) }
        }
        for (table, chain) in chains.sorted(by: { $0.1.hook?.priority ?? 0 < $1.1.hook?.priority ?? 0 }) {
            var run = Run(table: table, packet: packet)
            if run.verdict(of: chain.name) == .drop { return false }
        }
        return true
    }

    /// The way of one packet through one table.
    private struct Run {
        let table: Table
        let packet: Packet
        var registers = [UInt8](repeating: 0, count: 64)

        init(table: Table, packet: Packet) {
            self.table = table
            self.packet = packet
        }

        /// Nil: nobody had a word on it.
        mutating func verdict(of chain: String) -> NftVerdict? {
            for rule in table.chains[chain]?.rules ?? [] {
                switch verdict(of: rule) {
                case .jump(let next)?: if let verdict = verdict(of: next) { return verdict }
                case .goto(let next)?: return verdict(of: next)
                case .return?: return nil
                case let end?: return end
                case nil: continue
                }
            }
            return nil
        }

        private mutating func verdict(of rule: NftRule) -> NftVerdict? {
            for step in rule {
                switch step {
                case .payload(let base, let offset, let length, let register):
                    let bytes = base == .network ? packet.network : packet.transport
                    guard offset + length <= bytes.count else { return nil }
                    put(Array(bytes[offset..<offset + length]), at: register)
                case .meta(.protocolNumber, let register): put([packet.protocolNumber], at: register)
                case .meta(.etherType, let register):
                    put(packet.source.family == .ipv4 ? [0x08, 0] : [0x86, 0xdd], at: register)
                case .connectionState(let register):
                    put(withUnsafeBytes(of: UInt32(packet.isNew ? 8 : 2)) { Array($0) }, at: register)
                case .bitwise(let register, let mask, let flip):
                    let at = Self.offset(register)
                    for index in mask.indices {
                        registers[at + index] = registers[at + index] & mask[index] ^ flip[index]
                    }
                case .compare(let register, let comparison, let bytes):
                    let held = Array(registers[Self.offset(register)...].prefix(bytes.count))
                    let isTrue =
                        switch comparison {
                        case .equal: held == bytes
                        case .unequal: held != bytes
                        case .atLeast: !held.lexicographicallyPrecedes(bytes)
                        case .atMost: !bytes.lexicographicallyPrecedes(held)
                        }
                    if !isTrue { return nil }
                case .lookup(let register, let set, let isInverted):
                    if (find(register, set) != nil) == isInverted { return nil }
                case .verdictMap(let register, let map):
                    if let verdict = find(register, map) { return verdict }
                case .verdict(let verdict): return verdict
                default: return nil
                }
            }
            return nil
        }

        private func find(_ register: NftRegister, _ set: String) -> NftVerdict?? {
            guard let elements = table.sets[set], let length = elements.keys.first?.bytes.count else { return nil }
            return elements[NftKey(bytes: Array(registers[Self.offset(register)...].prefix(length)))]
        }

        /// Loads fill their last register up with zeros.
        private mutating func put(_ bytes: [UInt8], at register: NftRegister) {
            let start = Self.offset(register)
            let padded = bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
            for (index, byte) in padded.enumerated() { registers[start + index] = byte }
        }

        private static func offset(_ register: NftRegister) -> Int {
            ((0..<16).first { NftRegister($0) == register } ?? 0) * 4
        }
    }
}

extension NftMachine.Table {
    fileprivate mutating func take(_ change: NftChange) throws {
        switch change {
        case .addTable, .removeTable: return
        case .addChain(let chain):
            chains[chain.name, default: NftChain(chain.name)].hook = chain.hook ?? chains[chain.name]?.hook
            for rule in chain.rules {
                try check(rule, of: chain.name)
                chains[chain.name]?.rules.append(rule)
            }
        case .emptyChain(let name):
            guard chains[name] != nil else { throw NftMachine.Refusal(what: "no chain \(name)") }
            chains[name]?.rules = []
        case .removeChain(let name):
            guard chains[name]?.rules.isEmpty == true, !isNamed(chain: name) else {
                throw NftMachine.Refusal(what: "chain \(name) is in use")
            }
            chains[name] = nil
        case .addSet(let set): sets[set.name] = sets[set.name] ?? [:]
        case .removeSet(let name):
            guard sets[name] != nil, !chains.values.flatMap(\.rules).joined().contains(where: { $0.names(set: name) })
            else { throw NftMachine.Refusal(what: "set \(name) is in use") }
            sets[name] = nil
        case .addElements(let set, let elements):
            guard sets[set] != nil else { throw NftMachine.Refusal(what: "no set \(set)") }
            for element in elements {
                if let held = sets[set]?[element.key], held != element.verdict {
                    throw NftMachine.Refusal(what: "an element of \(set) is there")
                }
                if case .goto(let chain)? = element.verdict, chains[chain] == nil {
                    throw NftMachine.Refusal(what: "no chain \(chain)")
                }
                sets[set]?[element.key] = .some(element.verdict)
            }
        case .removeElements(let set, let keys):
            for key in keys where sets[set]?.removeValue(forKey: key) == nil {
                throw NftMachine.Refusal(what: "an element of \(set) is not there")
            }
        }
    }

    private func check(_ rule: NftRule, of chain: String) throws {
        for step in rule {
            switch step {
            case .verdict(.jump(let name)), .verdict(.goto(let name)):
                if chains[name] == nil { throw NftMachine.Refusal(what: "no chain \(name) for \(chain)") }
            case .lookup(_, let set, _), .verdictMap(_, let set):
                if sets[set] == nil { throw NftMachine.Refusal(what: "no set \(set) for \(chain)") }
            default: continue
            }
        }
    }

    private func isNamed(chain: String) -> Bool {
        chains.values.flatMap(\.rules).joined().contains { step in
            step == .verdict(.jump(chain)) || step == .verdict(.goto(chain))
        } || sets.values.contains { $0.values.contains { $0 == .goto(chain) || $0 == .jump(chain) } }
    }
}

extension NftExpression {
    fileprivate func names(set: String) -> Bool {
        switch self {
        case .lookup(_, set, _), .verdictMap(_, set): true
        default: false
        }
    }
}
