import Foundation
import LocalStack

/// The program `holdfast`, as its users run it.
struct HoldfastProgram: Sendable {
    let path: URL

    /// Finds it where the build puts it: beside this one.
    ///
    /// - Throws: ``BenchError`` when it is not there.
    init() throws {
        path = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "holdfast")
        guard FileManager.default.isExecutableFile(atPath: path.path) else {
            throw BenchError(
                description: "there is no holdfast beside holdfast-bench; build both, with swift build -c release"
            )
        }
    }

    /// Starts it on private servers.
    ///
    /// - Parameters:
    ///   - arguments: A command, and its own.
    ///   - system: The servers.
    ///   - role: Whom it is for the database.
    /// - Returns: Its process.
    /// - Throws: When it cannot be started.
    func start(_ arguments: [String], on system: BenchSystem, as role: String = "holdfast") throws -> LocalProcess {
        try LocalProcess(
            path,
            arguments + ["--log-level", "error"],
            environment: [
                "HOLDFAST_DATABASE_URL": system.database.server.connectionString(user: role),
                "HOLDFAST_LOCK_NODES": system.nodes.servers.map(\.url).joined(separator: ","),
            ]
        )
    }
}
