package import Postgres
package import Redis

/// Checks that the lock history shows what Holdfast promises, and that it is what was written.
package struct Audit: Sendable {
    /// One kind of violation.
    package enum Check: String, Sendable, CaseIterable {
        case overlaps = "holds of one key at one time"
        case regressions = "fences that went back"
        case unclosed = "holds without an end"
        case unrecorded = "effects without a record"
        case seals = "seals"
    }

    /// Violations of each check that are shown at most.
    private static let limit: Int32 = 1000
    /// Seals that are computed again in one statement.
    private static let page: Int64 = 100

    private let pool: PostgresPool
    private let deadline: Duration

    /// - Parameters:
    ///   - pool: A role that may read the history, such as holdfast_auditor.
    ///   - deadline: Of one statement; on a long history, some take minutes.
    package init(pool: PostgresPool, deadline: Duration = .seconds(3600)) {
        self.pool = pool
        self.deadline = deadline
    }

    /// Runs a check of the history alone.
    ///
    /// - Parameters:
    ///   - check: Any but ``Check/unrecorded``, which needs the value node.
    ///   - progress: Told how much of it is done, from 0 to 1, when it takes several steps.
    /// - Returns: A line for each violation, the first thousand.
    /// - Throws: `PostgresError`.
    package func violations(
        _ check: Check,
        progress: (Double) -> Void = { _ in }
    ) async throws -> [String] {
        switch check {
        case .overlaps: try await lines(AuditStatements.overlaps, [.int32(Self.limit)])
        case .regressions: try await lines(AuditStatements.regressions, [.int32(Self.limit)])
        case .unclosed: try await lines(AuditStatements.unclosed, [.int32(Self.limit)])
        case .unrecorded: []
        case .seals: try await brokenSeals(progress)
        }
    }

    /// Compares every fence of the value node with the history.
    ///
    /// A fence is read before the history is, and its record was there before it was: none is reported too early.
    /// - Parameter node: The value node, connected.
    /// - Returns: A line for each effect without a record.
    /// - Throws: `PostgresError`, or `RedisError` when the node does not answer.
    package func unrecordedEffects(on node: RedisNode) async throws -> [String] {
        var found: [String] = []
        for try await fences in ValueFences(on: node) where !fences.isEmpty {
            found += try await lines(
                AuditStatements.unrecorded,
                [.texts(fences.map(\.key)), .int64s(fences.map(\.fence))]
            )
        }
        return found
    }

    /// The newest seal, as in `42:9f86d0…`; `nil` when nothing is sealed yet.
    package func head() async throws -> String? {
        try await lines(AuditStatements.head, []).first
    }

    /// Checks a seal that was kept elsewhere.
    ///
    /// - Parameter head: As ``head()`` gave it.
    /// - Returns: Whether the chain has it; `nil` when it has no seal of that number any more, or not yet.
    /// - Throws: `PostgresError`.
    package func knows(_ head: SealHead) async throws -> Bool? {
        let rows = try await pool.execute(
            AuditStatements.known,
            [.int64(head.number), .text(head.seal)],
            within: deadline
        )
        return rows.isEmpty ? nil : try rows[0].decode(Bool.self, at: 0)
    }

    private func brokenSeals(_ progress: (Double) -> Void) async throws -> [String] {
        let chain = try await pool.execute(AuditStatements.chain, [], within: deadline)[0]
        let first = try chain.decode(Int64.self, at: 0)
        let last = try chain.decode(Int64.self, at: 1)
        var found: [String] = []
        for number in stride(from: first, through: last, by: Int(Self.page)) {
            found += try await lines(
                AuditStatements.seals,
                [.int64(number), .int64(min(number + Self.page - 1, last)), .int32(Self.limit)]
            )
            progress(Double(number - first) / Double(last - first + 1))
            guard found.count < Self.limit else { break }
        }
        return found
    }

    private func lines(_ statement: Statement, _ parameters: [Parameter]) async throws -> [String] {
        try await pool.execute(statement, parameters, within: deadline).map { try $0.decode(String.self, at: 0) }
    }
}

/// A seal's number and hash, as they are kept elsewhere: `42:9f86d0…`.
package struct SealHead: Sendable {
    package let number: Int64
    /// 64 hexadecimal digits, lower case.
    package let seal: String

    /// `nil` when the text is no seal.
    package init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let number = Int64(parts[0]), parts[1].count == 64,
            parts[1].allSatisfy(\.isHexDigit)
        else { return nil }
        self.number = number
        seal = parts[1].lowercased()
    }
}
