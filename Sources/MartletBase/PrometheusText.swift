/// Prometheus' text format, line by line. Labels' values are names of objects: nothing in them wants an escape.
public struct PrometheusText: Sendable {
    private let prefix: String
    /// What was written so far.
    public private(set) var text = ""

    /// Nothing yet.
    /// - Parameter prefix: begins the name of each metric.
    public init(prefix: String = "") { self.prefix = prefix }

    /// Begins a metric: its type is `counter`, `gauge` or `histogram`.
    public mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(prefix)\(name) \(help)\n# TYPE \(prefix)\(name) \(type)\n"
    }

    /// A row of the metric that was begun last.
    /// - Parameter labels: as `code="200",verb="get"`; empty for none.
    public mutating func line(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(prefix)\(name) \(value)\n" : "\(prefix)\(name){\(labels)} \(value)\n"
    }

    /// A metric of one row without labels.
    public mutating func metric(_ name: String, _ type: String, _ help: String, _ value: String) {
        family(name, type, help)
        line(name, "", value)
    }
}
