import Migrations
package import Postgres

/// Whether the database can be worked with; those who ask at once share one look at it.
package actor DatabaseReadiness {
    private static let deadline: Duration = .seconds(2)
    private static let version = Statement(
        name: "readiness",
        sql: "select coalesce(max(version), 0) from holdfast.schema_migrations"
    )

    private let pool: PostgresPool
    private var look: Task<String?, Never>?

    package init(pool: PostgresPool) { self.pool = pool }

    /// Why it cannot be worked with; `nil` when it can.
    package func reason() async -> String? {
        if let look { return await look.value }
        // Unstructured, because several who ask share it; whoever began it awaits it.
        let look = Task { [pool] in await Self.look(at: pool) }
        self.look = look
        defer { self.look = nil }
        return await look.value
    }

    private static func look(at pool: PostgresPool) async -> String? {
        let reason: String?? = await within(deadline) {
            do {
                let version = try await pool.execute(version, [], within: deadline)[0].decode(Int.self, at: 0)
                guard version < Migrator.latest else { return nil }
                return "the schema is version \(version), and \(Migrator.latest) is needed: run holdfast migrate"
            } catch let error as PostgresError where error.isUnavailable {
                return error.trouble
            } catch {
                return "the database cannot be asked: \(error)"
            }
        }
        return reason ?? "the database does not answer"
    }
}
