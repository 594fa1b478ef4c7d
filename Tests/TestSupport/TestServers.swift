import Foundation
package import LocalStack
import Synchronization

/// Real servers for tests.
///
/// Whatever is still up when the test process exits is ended then, and its folder removed.
package enum TestServers {
    private actor Shared {
        private var postgres: Task<PostgresServer, any Error>?

        func postgresServer() async throws -> PostgresServer {
            // Unstructured, because many tests share it and none of them owns it.
            let task = postgres ?? Task { try await TestServers.makePostgres() }
            postgres = task
            return try await task.value
        }
    }

    private static let shared = Shared()
    private static let count = Atomic<Int>(0)

    private static let folder: String = {
        let path = "/tmp/holdfast-tests-\(getpid())"
        atexit {
            // What cannot be removed is left in /tmp.
            try? FileManager.default.removeItem(atPath: "/tmp/holdfast-tests-\(getpid())")
        }
        LocalProcess.endAllAtExit()
        return path
    }()

    /// A new folder's path, for one test.
    package static func makeFolder(_ name: String) -> String {
        "\(folder)/\(name)-\(count.add(1, ordering: .relaxed).newValue)"
    }

    /// The PostgreSQL that all tests of the process share; a test that kills or freezes makes its own.
    package static func postgres() async throws -> PostgresServer {
        try await shared.postgresServer()
    }

    /// A PostgreSQL of the test's own.
    package static func makePostgres(
        settings: [String] = [],
        launcher: [String] = []
    ) async throws -> PostgresServer {
        try await PostgresServer.start(in: makeFolder("postgres"), settings: settings, launcher: launcher)
    }

    /// A Redis node of the test's own.
    package static func makeRedis(
        options: [String] = [],
        launcher: [String] = [],
        environment: [String: String] = [:]
    ) async throws -> RedisServer {
        try await RedisServer.start(
            in: makeFolder("redis"),
            options: options,
            launcher: launcher,
            environment: environment
        )
    }

    /// A clock for a server of the test's own.
    package static func makeClock() throws -> SteppedClock {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return try SteppedClock(makeFolder("clock"))
    }

    /// A whole stack of the test's own.
    package static func makeStack(nodeCount: Int = 3) async throws -> LocalStack {
        try await LocalStack.start(
            in: makeFolder("stack"),
            nodeCount: nodeCount,
        )
    }
}
