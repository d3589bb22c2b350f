extension JSON {
    /// The members of an object by name, in their order. Names are told apart byte by byte.
    ///
    /// Most objects are small: their members lie side by side, and a name is searched from the first on. Of a big one
    /// the places are remembered too.
    public struct Members: Sendable {
        /// A member.
        public typealias Element = (key: String, value: JSON)

        /// The members, side by side.
        public private(set) var elements: [Element] = []
        /// The places by name, once there are more than ``mostSearched``.
        private var places: [Name: Int]?

        /// So many members are searched one by one.
        static let mostSearched = 32

        /// A name by its bytes: texts that Unicode holds to be the same are different names.
        private struct Name: Hashable {
            let text: String

            static func == (a: Name, b: Name) -> Bool { isSame(a.text, b.text) }
            func hash(into hasher: inout Hasher) {
                var text = text
                text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            }
        }

        /// No members.
        public init() {}

        /// Members in this order; their names are different.
        public init(unique elements: [Element]) {
            self.elements = elements
            if elements.count > Self.mostSearched { rememberPlaces() }
        }

        /// Members in this order; a name given twice stays where it was first, and keeps its last value.
        public init(_ members: some Sequence<Element>) {
            for (name, value) in members { self[name] = value }
        }

        private mutating func rememberPlaces() {
            guard elements.count > Self.mostSearched else {
                places = nil
                return
            }
            var places: [Name: Int] = [:]
            places.reserveCapacity(elements.count)
            for (index, member) in elements.enumerated() { places[Name(text: member.key)] = index }
            self.places = places
        }

        @inline(__always)
        private static func isSame(_ a: String, _ b: String) -> Bool {
            // Most names that differ do so in their lengths.
            a.utf8.count == b.utf8.count && hasSameBytes(a, b)
        }

        private static func hasSameBytes(_ a: String, _ b: String) -> Bool {
            let isSame = a.utf8.withContiguousStorageIfAvailable { a in
                b.utf8.withContiguousStorageIfAvailable { b in a.hasSameBytes(as: b) }
            }
            return isSame.flatMap { $0 } ?? a.utf8.elementsEqual(b.utf8)
        }
    }
}

extension JSON.Members: RandomAccessCollection {
    /// The place of the first member: 0.
    public var startIndex: Int { 0 }
    /// How many there are.
    public var endIndex: Int { elements.count }
    /// The member at a place.
    public subscript(position: Int) -> Element { elements[position] }

    /// The names, in order.
    public var keys: some RandomAccessCollection<String> & Sendable { elements.lazy.map(\.key) }
    /// The values, in order.
    public var values: some RandomAccessCollection<JSON> & Sendable { elements.lazy.map(\.value) }
}

extension JSON.Members {
    /// Where the member of that name is; nil when there is none.
    public func index(forKey name: String) -> Int? {
        if let places { return places[Name(text: name)] }
        return elements.firstIndex { Self.isSame($0.key, name) }
    }

    /// Whether the member at a place has that name.
    func isNamed(_ name: String, at index: Int) -> Bool { Self.isSame(elements[index].key, name) }

    /// Whether the name at one place comes before that at another.
    func isOrdered(_ one: Int, _ other: Int) -> Bool { elements[one].key < elements[other].key }

    /// The value of a name; nil when there is none. Setting nil removes the member; a new one comes last.
    public subscript(name: String) -> JSON? {
        get { index(forKey: name).map { elements[$0].value } }
        set {
            if let newValue { updateValue(newValue, forKey: name) } else { removeValue(forKey: name) }
        }
    }

    /// The value at a place, to be changed in place.
    public subscript(valueAt index: Int) -> JSON {
        get { elements[index].value }
        _modify { yield &elements[index].value }
    }

    /// Sets a member, and returns the value it had.
    @discardableResult
    public mutating func updateValue(_ value: JSON, forKey name: String) -> JSON? {
        if let index = index(forKey: name) {
            let before = elements[index].value
            elements[index].value = value
            return before
        }
        elements.append((name, value))
        if places != nil {
            places?[Name(text: name)] = elements.count - 1
        } else if elements.count > Self.mostSearched {
            rememberPlaces()
        }
        return nil
    }

    /// Puts a member, whose name none has yet, in front of the one at a place.
    public mutating func insert(_ value: JSON, forKey name: String, at index: Int) {
        elements.insert((name, value), at: index)
        if elements.count > Self.mostSearched { rememberPlaces() }
    }

    /// Takes a member away, and returns its value.
    @discardableResult
    public mutating func removeValue(forKey name: String) -> JSON? {
        guard let index = index(forKey: name) else { return nil }
        let value = elements.remove(at: index).value
        if places != nil { rememberPlaces() }
        return value
    }

    /// Takes the members away that a rule names.
    public mutating func removeAll(where isUnwanted: (Element) throws -> Bool) rethrows {
        try elements.removeAll(where: isUnwanted)
        if places != nil { rememberPlaces() }
    }

    /// Brings the members into an order.
    public mutating func sort(by isBefore: (Element, Element) throws -> Bool) rethrows {
        try elements.sort(by: isBefore)
        if places != nil { rememberPlaces() }
    }

    /// Makes room for so many members in all.
    public mutating func reserveCapacity(_ count: Int) { elements.reserveCapacity(count) }
}

extension JSON.Members: Hashable {
    /// The same members in the same order.
    public static func == (a: JSON.Members, b: JSON.Members) -> Bool {
        a.elements.count == b.elements.count
            && zip(a.elements, b.elements).allSatisfy { isSame($0.key, $1.key) && $0.value == $1.value }
    }
    /// Hashes names and values in order.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(elements.count)
        for (name, value) in elements {
            hasher.combine(name)
            hasher.combine(value)
        }
    }
}

extension JSON.Members: ExpressibleByDictionaryLiteral {
    /// Members in this order; a name given twice keeps its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements.map { (key: $0, value: $1) }) }
}

extension JSON {
    /// The members of an object in their order, empty for anything else: for rooms that walk an object and need not
    /// know whether it is one.
    public var members: [Members.Element] { if case .object(let members) = self { members.elements } else { [] } }

    /// An object of these members, in this order; a name given twice keeps its last value.
    public init(members: [Members.Element]) { self = .object(Members(members)) }
}
