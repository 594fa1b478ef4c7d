package import Logging
package import Postgres

/// Whether the database is one that this program can work with; for its start.
package struct DatabaseCheck: Sendable {
    package enum Finding: Sendable {
        case good
        /// It may be good later: the error says what is in the way.
        case away(PostgresError)
        /// Somebody has to change something, as is said.
        case wrong(String)
    }

    /// How a session that got what it asked for shows itself.
    private static let session = Statement(
        name: "session_settings",
        sql: "select current_setting('lock_timeout') = '2s' and current_setting('TimeZone') = 'UTC'",
        isPrepared: false
    )

    private let pool: PostgresPool
    private let logger: Logger

    package init(pool: PostgresPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
    }

    /// Looks once.
    ///
    /// - Throws: What is neither: an error of the program's, or `CancellationError`.
    package func look() async throws -> Finding {
        do {
            let version = try await Migrator(pool: pool, logger: logger).currentVersion()
            guard version >= Migrator.latest else {
                return .wrong(
                    """
                    The database's schema is version \(version), and this program needs \(Migrator.latest): run \
                    holdfast migrate.
                    """
                )
            }
            if try await !pool.execute(Self.session)[0].decode(Bool.self, at: 0) {
                logger.warning(
                    "A pooler keeps this program's session settings from the database: set them for its role",
                    metadata: ["db.example": "alter role … set lock_timeout = '2s'"]
                )
            }
            return .good
        } catch  where Task.isCancelled {
            // Whatever that did to a statement.
            throw CancellationError()
        } catch let error as PostgresError where error.asksForChange {
            return .wrong("\(error)")
        } catch let error as PostgresError where error.sqlState == "42501" {
            return .wrong(
                """
                \(error); holdfast migrate, as the schema's owner, makes the roles and what they are granted; log in as \
                a member of holdfast_intake or holdfast_worker.
                """
            )
        } catch let error as PostgresError where error.isUnavailable {
            return .away(error)
        }
    }

    /// Looks once a second until there is an answer, and says once a minute what is in the way.
    ///
    /// - Returns: What is wrong; `nil` when nothing is.
    /// - Throws: As ``look()``.
    package func wait() async throws -> String? {
        var outage = OutageNotice()
        while true {
            switch try await look() {
            case .good: return nil
            case .wrong(let reason): return reason
            case .away(let error):
                if outage.failed() { logger.warning("Waiting for the database", metadata: ["error": "\(error)"]) }
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
