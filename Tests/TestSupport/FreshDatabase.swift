package import Holdfast
import LocalStack
package import Logging
package import Postgres
package import Testing

/// A migrated database of a test's own, on the server that all tests share.
package struct TestDatabase: Sendable {
    package let url: String
    package let pool: PostgresPool

    package var store: JobStore { JobStore(pool: pool) }

    /// How to open more connections.
    package func configuration() throws -> PostgresConfiguration {
        try PostgresConfiguration(connectionString: url, applicationName: "test")
    }
}

/// Gives each test a ``TestDatabase`` of its own: `FreshDatabase.current`.
package struct FreshDatabase: SuiteTrait, TestTrait, TestScoping {
    @TaskLocal private static var database: TestDatabase?

    package let isRecursive = true

    /// The test's database.
    package static var current: TestDatabase {
        guard let database else { preconditionFailure("the test needs the trait .freshDatabase") }
        return database
    }

    package func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing body: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await body() }  // The suite itself: only its cases need one.
        let database = try await DatabaseTemplate.shared.makeDatabase()
        try await Self.$database.withValue(database) { try await body() }
        database.pool.close()
    }
}

extension Trait where Self == FreshDatabase {
    /// A migrated database of the test's own.
    package static var freshDatabase: FreshDatabase { FreshDatabase() }
}

/// A migrated database that others are copies of: copying takes less time than migrating.
private actor DatabaseTemplate {
    static let shared = DatabaseTemplate()

    private static let name = "template_holdfast"
    private var preparation: Task<PostgresPool, any Error>?
    private var count = 0

    func makeDatabase() async throws -> TestDatabase {
        // Unstructured, because many tests share it and none of them owns it.
        let preparation = preparation ?? Task { try await Self.prepare() }
        self.preparation = preparation
        let administration = try await preparation.value
        count += 1
        let name = "test_\(count)"
        // One copy at a time: the template must have no other user.
        _ = try await administration.withConnection { connection in
            try await connection.executeScript("create database \(name) template \(Self.name)")
        }
        let url = try await TestServers.postgres().connectionString(database: name)
        let configuration = try PostgresConfiguration(connectionString: url, applicationName: "test")
        return TestDatabase(url: url, pool: PostgresPool(configuration: configuration, size: 8, logger: .quiet))
    }

    private static func prepare() async throws -> PostgresPool {
        let server = try await TestServers.postgres()
        try await server.createDatabase(name)
        let template = PostgresPool(
            configuration: try PostgresConfiguration(
                connectionString: server.connectionString(database: name),
                applicationName: "test"
            ),
            size: 1,
            logger: .quiet
        )
        _ = try await Migrator(pool: template, logger: .quiet).migrate()
        template.close()
        return PostgresPool(
            configuration: try PostgresConfiguration(
                connectionString: server.connectionString(),
                applicationName: "test"
            ),
            size: 1,
            acquireTimeout: .seconds(120),
            logger: .quiet
        )
    }
}

extension Logger {
    /// Says nothing.
    package static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
