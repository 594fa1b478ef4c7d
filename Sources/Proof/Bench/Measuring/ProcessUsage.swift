import Foundation

/// What processes have used of the machine so far, as the kernel counts it.
struct ProcessUsage: Sendable {
    /// Processor time, in seconds.
    private(set) var seconds = 0.0
    /// Resident memory, in bytes; what processes share counts for each.
    private(set) var memory = 0

    /// - Parameters:
    ///   - pids: Of those that are gone nothing is known.
    ///   - withDescendants: Whether what they started counts too; of what has ended, its time.
    init(of pids: [pid_t], withDescendants: Bool = false) {
        guard withDescendants else {
            for entry in pids.compactMap(Entry.init) { add(entry, withEnded: false) }
            return
        }
        // None to be listed: there is no /proc.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        let entries = names.compactMap { pid_t($0) }.compactMap(Entry.init)
        let children = Dictionary(grouping: entries, by: \.parent)
        var left = entries.filter { pids.contains($0.pid) }
        while let entry = left.popLast() {
            add(entry, withEnded: true)
            left += children[entry.pid] ?? []
        }
    }

    private mutating func add(_ entry: Entry, withEnded: Bool) {
        seconds += entry.seconds + (withEnded ? entry.endedSeconds : 0)
        memory += entry.memory
    }

    /// A process as `/proc/PID/stat` tells of it.
    private struct Entry {
        let pid: pid_t
        let parent: pid_t
        let seconds: Double
        /// Of children that it has waited for.
        let endedSeconds: Double
        let memory: Int

        init?(_ pid: pid_t) {
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
            // The name in brackets may hold blanks; the field after it is the third.
            let fields = String(decoding: data, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
            func field(_ number: Int) -> Int { number - 3 < fields.count ? Int(fields[number - 3]) ?? 0 : 0 }
            let tick = Double(sysconf(Int32(_SC_CLK_TCK)))
            self.pid = pid
            parent = pid_t(field(4))
            seconds = Double(field(14) + field(15)) / tick
            endedSeconds = Double(field(16) + field(17)) / tick
            memory = field(24) * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
    }
}
