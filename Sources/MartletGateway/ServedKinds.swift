internal import MartletObject
internal import Synchronization

/// The kinds that are served now, with the documents made from them. All of it is swapped at once: a request sees one
/// state from its beginning to its end.
final class ServedKinds: Sendable {
    /// One state.
    final class State: Sendable {
        let catalog: KindCatalog
        let discovery: Discovery
        let openAPI: OpenAPIDocuments

        init(_ catalog: KindCatalog) {
            self.catalog = catalog
            discovery = Discovery(catalog: catalog)
            openAPI = OpenAPIDocuments(catalog: catalog)
        }
    }

    private let state = Mutex(State(.builtIn))

    /// The state now.
    var current: State { state.withLock { $0 } }

    /// Serves other kinds from now on.
    func swap(to catalog: KindCatalog) {
        let next = State(catalog)
        state.withLock { $0 = next }
    }
}
