import Holdfast
import Postgres

/// The lines that `holdfast top` shows.
enum TopFrame {
    /// - Parameters:
    ///   - snapshot: Of now.
    ///   - earlier: One before, for rates.
    ///   - rows: How many lines there may be; queues and holds get what the others leave.
    /// - Returns: They may be more on a small terminal.
    /// - Throws: When the database writes what is not understood.
    static func lines(_ snapshot: TopSnapshot, since earlier: TopSnapshot?, rows: Int) throws -> [String] {
        var lines = [summary(snapshot, since: earlier), ""]
        let workers = try WorkerRow.table(snapshot.workers).lines
        let nodes = snapshot.nodes.isEmpty ? [] : NodeRow.table(snapshot.nodes).lines
        let room = rows - lines.count - workers.count - 1 - (nodes.isEmpty ? 0 : nodes.count + 1)
        lines += cut(Queues.table(snapshot.queues).lines, to: max(3, min(room / 2, snapshot.queues.count + 1))) + [""]
        lines += workers + [""]
        if !nodes.isEmpty { lines += nodes + [""] }
        lines += cut(holds(snapshot), to: max(3, rows - lines.count))
        return lines
    }

    private static func summary(_ snapshot: TopSnapshot, since earlier: TopSnapshot?) -> String {
        var parts = [
            "holdfast", snapshot.at.rfc3339(.milliseconds), "jobs \(snapshot.depth)",
            "running \(snapshot.queues.reduce(0) { $0 + $1.running })",
        ]
        if let rates = snapshot.rates(since: earlier) {
            parts.append("in \(Int(rates.in.rounded()))/s")
            parts.append("out \(Int(rates.out.rounded()))/s")
        }
        if let wait = snapshot.queues.compactMap(\.oldestWait).max() { parts.append("oldest wait \(wait.short)") }
        if snapshot.workers.isEmpty { parts.append("NO WORKER IS ALIVE") }
        let isVoting = snapshot.nodes.count(where: { $0.votes == true }) > snapshot.nodes.count / 2
        if !snapshot.nodes.isEmpty, !isVoting { parts.append("NO QUORUM OF LOCK NODES") }
        return parts.joined(separator: "   ")
    }

    private static func holds(_ snapshot: TopSnapshot) -> [String] {
        var table = Table([
            ("HELD KEY", .left), ("JOB", .right), ("ATTEMPT", .right), ("WORKER", .right), ("FENCE", .right),
            ("FOR", .right),
        ])
        for lock in snapshot.locks {
            let since = PostgresTimestamp(rfc3339: lock.since)
            let time = since.map { Duration.microseconds(snapshot.at.microseconds - $0.microseconds).short }
            table.add([
                lock.key.shortened(to: 40), "\(lock.job)", "\(lock.attempt)", "\(lock.worker)", "\(lock.fence)",
                time ?? "",
            ])
        }
        return table.lines
    }

    /// The first lines, and how many more there are.
    private static func cut(_ lines: [String], to count: Int) -> [String] {
        guard lines.count > count else { return lines }
        return lines.prefix(count - 1) + ["… \(lines.count - count + 1) more"]
    }
}
