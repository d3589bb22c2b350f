internal import MartletObject
internal import Synchronization

/// The kinds that are served now, with the documents made from them. All of it is swapped at once: a request sees one
/// state from its beginning to its end.
final class ServedKinds: Sendable {
    /// One state.
    final class State: Sendable {
        let catalog: KindCatalog
        let discovery: DiscoveryDocuments
        let openAPI: OpenAPIDocuments

        init(_ catalog: KindCatalog, after old: State?) {
            self.catalog = catalog
            discovery = DiscoveryDocuments(Discovery(catalog: catalog))
            openAPI = OpenAPIDocuments(catalog: catalog, after: old?.openAPI)
        }
    }

    private struct Shared {
        var state = State(.builtIn, after: nil)
        /// Those that wait for the end of a custom kind: at most one for each watch.
        var waiters: [Int: (lineage: String, waiter: CheckedContinuation<Void, Never>)] = [:]
        var nextWaiter = 0
        /// The lineages of the state's custom kinds.
        var lineages: Set<String> = []
    }

    private let shared = Mutex(Shared())

    /// The state now.
    var current: State { shared.withLock { $0.state } }

    /// Serves other kinds from now on. Whoever waits for the end of one that is gone is woken.
    func swap(to catalog: KindCatalog) {
        let next = State(catalog, after: current)
        let lineages = Set(catalog.kinds.compactMap { $0.custom?.lineage })
        let woken = shared.withLock { shared in
            shared.state = next
            shared.lineages = lineages
            let gone = shared.waiters.filter { !lineages.contains($0.value.lineage) }
            for number in gone.keys { shared.waiters[number] = nil }
            return gone.values.map(\.waiter)
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when the kind is no longer served by this definition, or the task is cancelled. A definition that is
    /// being deleted serves on until its last object is gone.
    func untilGone(_ custom: CustomKind) async {
        let lineage = custom.lineage
        let number = shared.withLock { shared in
            shared.nextWaiter += 1
            return shared.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isOver = shared.withLock { shared in
                    if Task.isCancelled || !shared.lineages.contains(lineage) { return true }
                    shared.waiters[number] = (lineage, waiter)
                    return false
                }
                if isOver { waiter.resume() }
            }
        } onCancel: {
            let waiter = shared.withLock { $0.waiters.removeValue(forKey: number)?.waiter }
            waiter?.resume()
        }
    }
}
