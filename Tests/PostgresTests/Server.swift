import LocalStack
import Logging
import Postgres
import TestSupport

/// What the suites do with a server.
extension PostgresServer {
    func configuration(statementTimeout: Duration = .seconds(30)) throws -> PostgresConfiguration {
        try PostgresConfiguration(
            connectionString: connectionString(),
            connectTimeout: .seconds(2),
            statementTimeout: statementTimeout
        )
    }

    func connect() async throws -> PostgresConnection {
        try await PostgresConnection.open(configuration(), logger: .quiet)
    }

    func pool(size: Int = 4, acquireTimeout: Duration = .seconds(30)) throws -> PostgresPool {
        PostgresPool(configuration: try configuration(), size: size, acquireTimeout: acquireTimeout, logger: .quiet)
    }
}

extension Logger {
    static var quiet: Logger { Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() } }
}

extension Statement {
    /// A statement of a test, which is not prepared.
    init(_ sql: String) {
        self.init(name: "test", sql: sql, isPrepared: false)
    }
}

/// A connection of its own to the server that all suites share.
func connect() async throws -> PostgresConnection {
    try await TestServers.postgres().connect()
}

/// Waits until a backend waits for a lock or sleeps: the schedule of a test that interrupts it.
func waitUntilBusy(_ backend: Int32, on server: PostgresServer) async throws {
    let observer = try await server.connect()
    let statement = Statement(
        name: "busy",
        sql: "select wait_event from pg_stat_activity where pid = $1 and state = 'active'"
    )
    while true {
        let rows = try await observer.execute(statement, [.int32(backend)])
        if try rows.first?.decodeIfPresent(String.self, at: 0) != nil { return }
    }
}

/// The error that an operation throws.
func postgresError(_ operation: () async throws -> Void) async throws -> PostgresError? {
    do {
        try await operation()
        return nil
    } catch let error as PostgresError {
        return error
    }
}
