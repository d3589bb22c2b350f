internal import MartletObject

/// The slices of one Service with one kind of addresses, on their way from what they are to what they should be
/// (upstream's reconcileByPortMapping). An endpoint stays in the slice that lists it, so that one pod's change is a
/// change of one slice, however many there are.
struct SlicePlan {
    /// Endpoints in one slice, as upstream.
    static let perSlice = 100

    /// Slices that are right, as far as is known.
    private(set) var unchanged: [JSON] = []
    private(set) var updated: [JSON] = []
    private(set) var created: [JSON] = []
    private(set) var deleted: [JSON] = []

    /// Pods with the same ports.
    struct Group {
        var ports: JSON
        var endpoints: [JSON]
    }

    /// - Parameters:
    ///   - existing: the slices that there are.
    ///   - make: a new slice with such ports, still without endpoints.
    init(_ groups: [Group], existing: [JSON], make: (JSON) -> JSON) {
        var others = existing.filter { slice in !groups.contains { $0.ports == slice["ports"] } }
        for group in groups {
            var slices = existing.filter { $0["ports"] == group.ports }
            // When a Service's port changes, there is no moment without endpoints.
            if slices.isEmpty, !others.isEmpty { slices = [others.removeFirst()] }
            fit(group, into: slices, make)
        }
        empty(others)
    }

    /// Removes what lists nothing any more; but one slice stays, by which it is seen that there are no endpoints.
    private mutating func empty(_ slices: [JSON]) {
        for slice in slices {
            if !(unchanged.isEmpty && updated.isEmpty && created.isEmpty) {
                deleted.append(slice)
            } else if slice.endpoints.isEmpty {
                unchanged.append(slice)
            } else {
                updated.append(slice.with(endpoints: []))
            }
        }
    }

    private mutating func fit(_ group: Group, into slices: [JSON], _ make: (JSON) -> JSON) {
        var missing = Dictionary(group.endpoints.map { (Self.key(of: $0), $0) }) { first, _ in first }
        var still: [JSON] = []
        var changing: [JSON] = []
        for slice in slices {
            var kept: [JSON] = []
            for old in slice.endpoints {
                guard var endpoint = missing.removeValue(forKey: Self.key(of: old)) else { continue }
                // Hints are settled when all slices are known.
                endpoint["hints"] = old["hints"]
                kept.append(endpoint)
            }
            if kept == slice.endpoints, !kept.isEmpty, slice["ports"] == group.ports {
                still.append(slice)
            } else {
                var slice = slice.with(endpoints: kept)
                slice["ports"] = group.ports
                changing.append(slice)
            }
        }
        var waiting = group.endpoints.filter { missing.removeValue(forKey: Self.key(of: $0)) != nil }
        // Slices that change anyway are filled first, the fullest before the others.
        changing.sort { $0.endpoints.count > $1.endpoints.count }
        for index in changing.indices { changing[index].fill(from: &waiting) }
        // Then the one that has room for all the rest, and least of it; then new ones.
        if !waiting.isEmpty, let index = Self.fullest(of: still, withRoomFor: waiting.count) {
            changing.append(still.remove(at: index))
            changing[changing.count - 1].fill(from: &waiting)
        }
        while !waiting.isEmpty {
            var slice = make(group.ports)
            slice.fill(from: &waiting)
            created.append(slice)
        }
        unchanged += still
        updated += changing.filter { !$0.endpoints.isEmpty }
        deleted += changing.filter(\.endpoints.isEmpty)
    }

    private static func fullest(of slices: [JSON], withRoomFor count: Int) -> Int? {
        slices.indices.filter { slices[$0].endpoints.count + count <= perSlice }
            .max { slices[$0].endpoints.count < slices[$1].endpoints.count }
    }

    private struct Key: Hashable {
        var uid: String
        var address: String
    }
    private static func key(of endpoint: JSON) -> Key {
        Key(
            uid: endpoint["targetRef", "uid"]?.string ?? "",
            address: endpoint["addresses"]?[0]?.string ?? "")
    }

    /// Gives every slice these labels; those that have others are changed by that.
    mutating func setLabels(_ labels: [String: String]) {
        change { $0.labels != labels }
        updated = updated.map { slice in
            var slice = slice
            slice["metadata", "labels"] = JSON(labels)
            return slice
        }
    }

    // MARK: Hints

    /// Whether an endpoint of any slice has hints.
    var hasHints: Bool { all.contains { $0.endpoints.contains { $0["hints"] != nil } } }

    /// Every slice that there will be.
    var all: [JSON] { unchanged + updated + created }

    /// Gives every endpoint the hints that it should have; slices with others are changed by that.
    mutating func setHints(_ hints: (JSON) -> JSON?) {
        change { slice in slice.endpoints.contains { $0["hints"] != hints($0) } }
        setHintsOfChanged(hints)
    }

    /// Gives endpoints hints, those of new and changed slices, in this order.
    mutating func setHintsOfChanged(_ hints: (JSON) -> JSON?) {
        created = created.map { $0.hinted(hints) }
        updated = updated.map { $0.hinted(hints) }
    }

    /// Lets slices be changed that have been right so far.
    mutating func change(where isWrong: (JSON) -> Bool) {
        let wrong = unchanged.map(isWrong)
        updated += zip(unchanged, wrong).filter(\.1).map(\.0)
        unchanged = zip(unchanged, wrong).filter { !$0.1 }.map(\.0)
    }

    /// What is to be done, in an order in which no endpoint is missing meanwhile.
    var intents: [Intent] {
        created.map { .create(.endpointSlice, $0) } + updated.map { .update(.endpointSlice, $0) }
            + deleted.map {
                .delete(ObjectKey(.endpointSlice, namespace: $0.namespace, name: $0.name), uid: $0.uid)
            }
    }
}

extension JSON {
    /// What an EndpointSlice lists.
    var endpoints: [JSON] { self["endpoints"]?.array ?? [] }

    fileprivate func with(endpoints: [JSON]) -> JSON {
        var slice = self
        slice["endpoints"] = .array(endpoints)
        return slice
    }

    fileprivate func hinted(_ hints: (JSON) -> JSON?) -> JSON {
        with(
            endpoints: endpoints.map { endpoint in
                var endpoint = endpoint
                endpoint["hints"] = hints(endpoint)
                return endpoint
            })
    }

    /// Takes as many of these as there is room for.
    fileprivate mutating func fill(from waiting: inout [JSON]) {
        let count = min(waiting.count, SlicePlan.perSlice - endpoints.count)
        guard count > 0 else { return }
        self = with(endpoints: endpoints + waiting.prefix(count))
        waiting.removeFirst(count)
    }
}
