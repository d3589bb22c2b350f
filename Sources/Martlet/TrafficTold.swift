internal import MartletNet
internal import Synchronization

/// What a process tells of the requests that its edge and its ingress pass on.
final class TrafficTold: Sendable {
    /// Nil where none was asked for.
    let log: AccessLog?
    private let parts = Mutex<[@Sendable () -> String]>([])

    init(_ log: AccessLog?) { self.log = log }

    func add(_ edge: Edge) { add { [weak edge] in edge?.metrics ?? "" } }
    func add(_ ingress: Ingress) { add { [weak ingress] in ingress?.metrics ?? "" } }

    private func add(_ metrics: @escaping @Sendable () -> String) { parts.withLock { $0.append(metrics) } }

    /// All metrics, in Prometheus' text format.
    var metrics: String { parts.withLock { $0 }.map { $0() }.joined() }
}
