/// Which hosts an entry of the index stands for.
enum HostForm: UInt8, Sendable, Hashable {
    /// The one of this name.
    case exact
    /// Those with one label before this name: an Ingress' `*.name`.
    case oneLabel
    /// Those with one label or more before this name: a Gateway's and an HTTPRoute's `*.name`.
    case anyLabels
    /// All of them; the name is empty.
    case every
}

/// A host as rules write it, ready to be looked up.
struct HostPattern: Sendable, Hashable {
    var form: HostForm
    /// Lower case, without the `*.`.
    var name: [UInt8]

    static let every = HostPattern(form: .every, name: [])

    /// Reads a host as an Ingress or a Gateway writes it; none and an empty one stand for all.
    init(_ text: String?, wildcard: HostForm) {
        guard let text, !text.isEmpty else {
            self = .every
            return
        }
        let name = RequestHost(text).name
        if name.hasPrefix("*.") {
            self.init(form: wildcard, name: Array(name.utf8.dropFirst(2)))
        } else {
            self.init(form: .exact, name: Array(name.utf8))
        }
    }

    init(form: HostForm, name: [UInt8]) {
        self.form = form
        self.name = name
    }

    /// Which of two names that both stand for a host says more of it, as a number: any name without `*.` more than
    /// any with it, a longer one more than a shorter, and each more than none.
    var exactness: Int {
        switch form {
        case .exact: 1 << 16 + min(name.count, 1 << 15)
        case .oneLabel, .anyLabels: 1 + min(name.count, 1 << 15)
        case .every: 0
        }
    }

    /// The hosts that both of two stand for; nil when there are none. No `*.name` here stands for one label alone.
    func intersection(_ other: HostPattern) -> HostPattern? {
        switch (form, other.form) {
        case (.every, _): return other
        case (_, .every): return self
        case (.exact, .exact): return name == other.name ? self : nil
        case (.exact, _): return other.covers(self) ? self : nil
        case (_, .exact): return covers(other) ? other : nil
        default:
            if name == other.name || covers(other) { return other }
            return other.covers(self) ? self : nil
        }
    }

    /// Whether another's name has at least one label before this one's.
    private func covers(_ other: HostPattern) -> Bool {
        other.name.count > name.count + 1 && other.name.suffix(name.count).elementsEqual(name)
            && other.name[other.name.count - name.count - 1] == UInt8(ascii: ".")
    }

    /// As it is written.
    var text: String {
        let name = String(decoding: name, as: UTF8.self)
        return switch form {
        case .exact: name
        case .oneLabel, .anyLabels: "*." + name
        case .every: "*"
        }
    }
}

/// Finds what belongs to a host in the same time however many hosts there are, from the bytes of its name and without
/// an allocation; names are found in any case. Those of several scopes (the Ingresses are one, each listener of a
/// Gateway is one) lie side by side.
struct HostIndex<Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var scope: Int
        var host: HostPattern
        var value: Value
    }
    /// By the hash of scope and host; entries that share a hash lie in one bucket. The hash has a seed of the process'
    /// own, so that nobody can choose names that do.
    private var buckets: [Int: [Entry]] = [:]
    private(set) var count = 0
    /// How many entries of each form there are: a form that nobody uses is not looked for.
    private var forms = [0, 0, 0, 0]

    func has(_ form: HostForm) -> Bool { forms[Int(form.rawValue)] > 0 }

    func find(scope: Int, _ form: HostForm, _ name: Span<UInt8>) -> Value? {
        guard has(form), let bucket = buckets[Self.hash(scope, form, name)] else { return nil }
        for entry in bucket where entry.scope == scope && entry.host.form == form && Self.same(entry.host.name, name) {
            return entry.value
        }
        return nil
    }

    /// What belongs to this host; setting nil takes it out.
    subscript(scope: Int, host: HostPattern) -> Value? {
        get { find(scope: scope, host.form, host.name.span) }
        set {
            let hash = Self.hash(scope, host.form, host.name.span)
            var bucket = buckets.removeValue(forKey: hash) ?? []
            let before = bucket.count
            bucket.removeAll { $0.scope == scope && $0.host == host }
            if let newValue { bucket.append(Entry(scope: scope, host: host, value: newValue)) }
            count += bucket.count - before
            forms[Int(host.form.rawValue)] += bucket.count - before
            if !bucket.isEmpty { buckets[hash] = bucket }
        }
    }

    /// All hosts of a scope, in no order.
    func hosts(of scope: Int) -> [HostPattern] {
        buckets.values.flatMap { $0.lazy.filter { $0.scope == scope }.map(\.host) }
    }

    /// Takes out all entries of all scopes but this one.
    mutating func keep(only scope: Int) {
        var kept = HostIndex()
        for bucket in buckets.values {
            for entry in bucket where entry.scope == scope { kept[scope, entry.host] = entry.value }
        }
        self = kept
    }

    private static func hash(_ scope: Int, _ form: HostForm, _ name: Span<UInt8>) -> Int {
        var hasher = Hasher()
        hasher.combine(scope << 2 | Int(form.rawValue))
        hasher.combine(name.count)
        var word: UInt64 = 0
        for index in name.indices {
            word = word << 8 | UInt64(lower(name[index]))
            if index & 7 == 7 { hasher.combine(word) }
        }
        hasher.combine(word)
        return hasher.finalize()
    }

    private static func same(_ known: [UInt8], _ name: Span<UInt8>) -> Bool {
        guard known.count == name.count else { return false }
        for index in name.indices where known[index] != lower(name[index]) { return false }
        return true
    }

    private static func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
}

extension RequestHost {
    /// Where in a Host field the name is: without port and root's dot. What ``init(_:)`` reads, without an allocation.
    static func name(in field: Span<UInt8>) -> Range<Int> {
        var end = field.count
        // The colons inside an IPv6 address's brackets are its own.
        var index = end
        while index > 0 {
            index -= 1
            if field[index] == UInt8(ascii: "]") { break }
            if field[index] == UInt8(ascii: ":") {
                end = index
                break
            }
        }
        if end > 0, field[end - 1] == UInt8(ascii: ".") { end -= 1 }
        return 0..<end
    }
}
