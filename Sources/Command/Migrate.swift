import ArgumentParser
import Holdfast

/// The command `holdfast migrate`.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the database's schema up to date.",
        discussion: """
            Safe on a live system, and when several run at once. Run it before a new version of serve and work. It waits \
            for a table that others use a second at a time, so that nobody waits behind it, and says who they are.
            """
    )

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let taken = try await common.withPool("migrate") { pool, logger in
            try await Migrator(pool: pool, logger: logger).migrate()
        }
        print(
            taken.isEmpty
                ? "The schema is up to date (version \(Migrator.latest))."
                : "Migrated to version \(Migrator.latest): \(taken.joined(separator: ", "))."
        )
    }
}
