internal import MartletBase

extension ProcessFacts {
    /// Reads `/proc/PID/stat` and the time of boot in `/proc/stat` (proc(5)); nil when they are of another form.
    /// - Parameter ticks: how many of the kernel's ticks are a second.
    init?(stat: [UInt8], boot: [UInt8], ticks: Double) {
        // The name stands in parentheses, and may hold spaces and parentheses itself.
        guard ticks > 0, let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = stat[(end + 1)...].split { $0 == 0x20 || $0 == 0x0A }
        func field(_ number: Int) -> Double? {
            // The first one behind the name is the third.
            let place = number - 3
            return fields.indices.contains(place) ? Double(String(decoding: fields[place], as: UTF8.self)) : nil
        }
        let line = boot.split(separator: 0x0A).first { $0.starts(with: "btime ".utf8) }
        guard let user = field(14), let system = field(15), let start = field(22),
            let booted = line.flatMap({ Double(String(decoding: $0.dropFirst(6), as: UTF8.self)) })
        else { return nil }
        self.init(cpuSeconds: (user + system) / ticks, startSeconds: booted + start / ticks)
    }
}
