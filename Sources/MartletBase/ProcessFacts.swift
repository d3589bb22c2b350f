/// What a process uses of its machine.
public struct ProcessFacts: Sendable, Hashable {
    /// Bytes in memory.
    public var residentBytes: Int64 = 0
    /// Seconds of CPU since it started, in programs and in the kernel.
    public var cpuSeconds: Double
    /// Open descriptors.
    public var descriptors = 0
    /// When it started, in seconds since 1970.
    public var startSeconds: Double

    /// What was measured of its time; the rest is zero.
    public init(cpuSeconds: Double, startSeconds: Double) {
        self.cpuSeconds = cpuSeconds
        self.startSeconds = startSeconds
    }

    /// Writes it under the names that Prometheus' clients give it.
    public func write(to text: inout PrometheusText) {
        text.metric("process_resident_memory_bytes", "gauge", "Bytes in memory.", "\(residentBytes)")
        text.metric("process_cpu_seconds_total", "counter", "Seconds of CPU.", "\(cpuSeconds)")
        text.metric("process_open_fds", "gauge", "Open descriptors.", "\(descriptors)")
        text.metric(
            "process_start_time_seconds", "gauge", "When the process started, since 1970.", "\(startSeconds)")
    }
}
