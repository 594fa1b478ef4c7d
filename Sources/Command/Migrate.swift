import ArgumentParser
import Holdfast
import Postgres

/// The command `holdfast migrate`.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the database's schema up to date.",
        discussion:
            "Safe on a live system, and when several run at once. Run it before a new version of serve and work."
    )

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await Settings(flags: common.values, file: common.configurationFile)
        let logger = try settings.makeLogger("migrate")
        let pool = PostgresPool(configuration: try settings.database("migrate"), size: 1, logger: logger)
        defer { pool.close() }
        let migrator = Migrator(pool: pool, logger: logger)
        let taken = try await migrator.migrate()
        print(
            taken.isEmpty
                ? "The schema is up to date (version \(Migrator.latest))."
                : "Migrated to version \(Migrator.latest): \(taken.joined(separator: ", "))."
        )
    }
}
