import Foundation
import Holdfast
import Postgres
import Redlock

/// What `holdfast top` shows, as it was at one moment.
struct TopSnapshot {
    /// A hold, as the database writes one.
    struct Lock: Decodable {
        let key: String, job: Int64, attempt: Int, worker: Int64, fence: Int64, since: String
    }

    private static let lockLimit = 200

    let at: PostgresTimestamp
    /// How many numbers of jobs have been drawn; `nil` when that may not be known.
    let drawn: Int64?
    let queues: [QueueState]
    /// One JSON object for each.
    let workers: [String]
    let locks: [Lock]
    var nodes: [NodeRow] = []

    var depth: Int { queues.reduce(0) { $0 + $1.depth } }

    static func take(_ pool: PostgresPool, _ nodes: [RedisLockNode]) async throws -> TopSnapshot {
        let views = QueueViews(pool: pool)
        async let asked = NodeRow.ask(nodes, within: .seconds(1))
        let (drawn, at) = try await views.numbersDrawn()
        let locks = try await views.locks(after: nil, limit: lockLimit).items.map { text in
            try JSONDecoder().decode(Lock.self, from: Data(text.utf8))
        }
        return TopSnapshot(
            at: at,
            drawn: drawn,
            queues: try await views.queueStates(limit: 200),
            workers: try await views.workers(),
            locks: locks,
            nodes: await asked
        )
    }

    /// The same as a JSON object.
    static func json(_ pool: PostgresPool, _ nodes: [RedisLockNode]) async throws -> String {
        let views = QueueViews(pool: pool)
        let encoder = JSONEncoder()
        let asked = try await NodeRow.ask(nodes, within: .seconds(1)).map { row in
            String(decoding: try encoder.encode(row), as: UTF8.self)
        }
        let parts = [
            ("queues", try await views.queues()), ("workers", try await views.workers()), ("nodes", asked),
            ("locks", try await views.locks(after: nil, limit: lockLimit).items),
        ]
        return "{" + parts.map { #""\#($0)":[\#($1.joined(separator: ","))]"# }.joined(separator: ",") + "}"
    }

    /// How many jobs came in and went out each second since an earlier snapshot; `nil` when that cannot be known.
    func rates(since earlier: TopSnapshot?) -> (in: Double, out: Double)? {
        guard let earlier, let drawn, let before = earlier.drawn else { return nil }
        let seconds = Double(at.microseconds - earlier.at.microseconds) / 1_000_000
        guard seconds > 0 else { return nil }
        // What is scheduled draws a second number when it joins its line.
        let came = Double(drawn - before)
        return (came / seconds, max(0, came - Double(depth - earlier.depth)) / seconds)
    }
}
