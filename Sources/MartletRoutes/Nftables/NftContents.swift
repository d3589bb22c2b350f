/// What one object (a Service, a policy, a pod) puts into a table.
struct NftContents: Sendable, Hashable {
    /// Rules by chain.
    var chains: [String: [NftRule]] = [:]
    /// Sets, by name.
    var sets: [String: NftSet] = [:]
    /// Verdicts (none in a set) by the name of the map or set, and key.
    var elements: [String: [NftKey: NftVerdict?]] = [:]

    /// Whether it puts nothing there.
    var isEmpty: Bool { chains.isEmpty && sets.isEmpty && elements.isEmpty }

    mutating func merge(_ other: NftContents) {
        chains.merge(other.chains) { _, new in new }
        sets.merge(other.sets) { _, new in new }
        for (map, elements) in other.elements { self.elements[map, default: [:]].merge(elements) { old, _ in old } }
    }
}

/// The steps from what objects had in a table to what they have, in an order that the kernel takes: nothing is named
/// before it is there, and nothing is removed while it is named.
struct NftDifference: Sendable {
    private var removedElements: [String: [NftKey]] = [:]
    private var addedElements: [String: [NftElement]] = [:]
    private var newSets: [NftSet] = []
    private var oldSets: [String] = []
    private var newChains: [String] = []
    private var emptied: [String] = []
    private var filled: [NftChain] = []
    private var oldChains: [String] = []

    mutating func add(from old: NftContents, to new: NftContents) {
        for (map, elements) in old.elements where old.sets[map] == nil || new.sets[map] != nil {
            for (key, verdict) in elements where new.elements[map]?[key] != verdict {
                removedElements[map, default: []].append(key)
            }
        }
        for (map, elements) in new.elements {
            for (key, verdict) in elements where old.elements[map]?[key] != verdict {
                addedElements[map, default: []].append(NftElement(key, verdict))
            }
        }
        newSets += new.sets.filter { old.sets[$0.key] == nil }.map(\.value)
        oldSets += old.sets.keys.filter { new.sets[$0] == nil }
        for (name, rules) in new.chains where old.chains[name] != rules {
            if old.chains[name] == nil { newChains.append(name) } else { emptied.append(name) }
            filled.append(NftChain(name, rules))
        }
        oldChains += old.chains.keys.filter { new.chains[$0] == nil }
    }

    var changes: [NftChange] {
        var steps: [NftChange] = []
        for (map, keys) in removedElements.sorted(by: { $0.key < $1.key }) {
            steps.append(.removeElements(set: map, keys.sorted()))
        }
        steps += newSets.sorted { $0.name < $1.name }.map { .addSet($0) }
        steps += newChains.sorted().map { .addChain(NftChain($0)) }
        steps += emptied.sorted().map { .emptyChain($0) }
        steps += filled.sorted { $0.name < $1.name }.map { .addChain($0) }
        for (map, elements) in addedElements.sorted(by: { $0.key < $1.key }) {
            steps.append(.addElements(set: map, elements.sorted { $0.key < $1.key }))
        }
        steps += oldChains.sorted().map { .emptyChain($0) } + oldChains.sorted().map { .removeChain($0) }
        steps += oldSets.sorted().map { .removeSet($0) }
        return steps
    }
}
