package import Postgres
package import Redlock

/// The events of one key, a line each, as they are written.
package struct KeyTimeline: Sendable {
    /// What is written later than this after an event that has been shown is not looked for any more, in microseconds.
    private static let lateness: Int64 = 60_000_000

    private let pool: PostgresPool
    private let key: LockKey
    private let isJSON: Bool
    private var shown: [Int64: PostgresTimestamp] = [:]
    private var oldest = PostgresTimestamp.negativeInfinity
    private var newest = PostgresTimestamp.negativeInfinity

    /// - Parameters:
    ///   - key: The key.
    ///   - pool: A role that may read the history, such as holdfast_auditor.
    ///   - isJSON: Whether a line is a JSON object, or for people.
    package init(of key: LockKey, pool: PostgresPool, isJSON: Bool) {
        self.key = key
        self.pool = pool
        self.isJSON = isJSON
    }

    /// The last events, oldest first.
    ///
    /// - Throws: `PostgresError`.
    package mutating func last(_ count: Int32) async throws -> [String] {
        let bounds = try await pool.execute(ViewStatements.historyBounds)[0]
        let now = try bounds.decode(PostgresTimestamp.self, at: 0)
        var spans = HistorySpans(
            endingAt: now,
            atFirst: .seconds(2 * 86_400),
            oldest: try bounds.decode(PostgresTimestamp.self, at: 1)
        )
        var rows: [Row] = []
        while rows.count < count, let span = spans.next() {
            let left = count - Int32(rows.count)
            rows += try await pool.execute(
                AuditStatements.lastEvents,
                [
                    .text(key.description), .bool(isJSON), .int32(left), .timestamp(span.lowerBound),
                    .timestamp(span.upperBound),
                ]
            )
        }
        let lines = try lines(rows.reversed())
        // What is before those was left out, and is not to come as new.
        oldest = shown.values.min() ?? oldest
        newest = max(newest, now)
        return lines
    }

    /// Those that have been written since the last call, by time.
    ///
    /// An event may be written some time after it happened, and after a later one: for a minute it is found.
    /// - Throws: `PostgresError`.
    package mutating func next() async throws -> [String] {
        let since =
            newest == .negativeInfinity
            ? newest : max(oldest, PostgresTimestamp(microseconds: newest.microseconds - Self.lateness))
        let rows = try await pool.execute(
            AuditStatements.eventsSince,
            [.text(key.description), .bool(isJSON), .timestamp(since)]
        )
        let lines = try lines(Array(rows))
        shown = shown.filter { $0.value >= since }
        return lines
    }

    /// The lines of those rows that have not been shown.
    private mutating func lines(_ rows: [Row]) throws(PostgresError) -> [String] {
        var lines: [String] = []
        for row in rows {
            let id = try row.decode(Int64.self, at: 0)
            let at = try row.decode(PostgresTimestamp.self, at: 1)
            guard shown.updateValue(at, forKey: id) == nil else { continue }
            newest = max(newest, at)
            lines.append(try row.decode(String.self, at: 2))
        }
        return lines
    }
}
