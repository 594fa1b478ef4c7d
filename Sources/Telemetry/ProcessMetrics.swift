import Foundation

/// What Linux says of this process, under the names that all Prometheus clients have for it.
enum ProcessMetrics {
    private static let pageBytes = Double(sysconf(Int32(_SC_PAGESIZE)))
    private static let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    /// Nothing where there is no `/proc`.
    ///
    /// - Source: proc(5), `/proc/[pid]/stat`; the fields are counted from the state, which follows the name in brackets.
    static func samples() -> [MetricSample] {
        guard let stat = text("/proc/self/stat"), let nameEnd = stat.lastIndex(of: ")") else { return [] }
        let fields = stat[stat.index(after: nameEnd)...].split(separator: " ").map { Double($0) ?? 0 }
        guard fields.count > 21 else { return [] }
        var samples = [
            MetricSample("process_cpu_seconds_total", (fields[11] + fields[12]) / ticksPerSecond),
            MetricSample("process_virtual_memory_bytes", fields[20]),
            MetricSample("process_resident_memory_bytes", fields[21] * pageBytes),
        ]
        if let bootTime {
            samples.append(MetricSample("process_start_time_seconds", bootTime + fields[19] / ticksPerSecond))
        }
        // One of them is the look itself.
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            samples.append(MetricSample("process_open_fds", max(0, files.count - 1)))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            samples.append(MetricSample("process_max_fds", Double(limit.rlim_cur)))
        }
        return samples
    }

    /// When the machine was started, in seconds of Unix time.
    private static let bootTime: Double? = text("/proc/stat")?.split(separator: "\n")
        .first { $0.hasPrefix("btime ") }
        .flatMap { Double($0.dropFirst(6)) }

    /// A file of the kernel's, which has no size by which it could be read at once.
    private static func text(_ path: String) -> String? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        var data = Data()
        // What cannot be read is as the end.
        while let piece = try? file.read(upToCount: 65_536), !piece.isEmpty { data += piece }
        return String(decoding: data, as: UTF8.self)
    }
}
