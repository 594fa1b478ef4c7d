import Foundation
import LocalStack
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3)))
struct LocalStackTests {
    @Test func `a PostgreSQL comes up, is killed, and comes up again on the same data`() async throws {
        let server = try await TestServers.makePostgres()
        #expect(server.process?.isRunning == true)
        try await server.createDatabase("kept")
        await server.kill()
        #expect(server.process?.exitStatus == -SIGKILL)
        try await server.start()
        // Making it again is no error, because it is still there.
        try await server.createDatabase("kept")
        #expect(FileManager.default.fileExists(atPath: "\(server.folder)/data/PG_VERSION"))
        await server.stop()
        #expect(server.process?.exitStatus == 0)
    }

    @Test func `a Redis node keeps its port over a restart`() async throws {
        let node = try await TestServers.makeRedis()
        let port = node.port
        await node.kill()
        try await node.start()
        #expect(node.port == port)
        await node.stop()
        #expect(node.process?.exitStatus == 0)
    }

    @Test func `a server that an earlier run left behind is ended first`() async throws {
        let folder = TestServers.makeFolder("stale")
        let left = try await RedisServer.start(in: folder)
        let successor = try await RedisServer.start(in: folder)
        await left.process?.waitForExit()
        #expect(left.process?.isRunning == false)
        #expect(successor.process?.isRunning == true)
        await successor.stop()
    }

    @Test func `a folder is used by one at a time`() throws {
        let folder = TestServers.makeFolder("locked")
        let lock = try FolderLock(folder)
        #expect {
            _ = try FolderLock(folder)
        } throws: { error in
            (error as? LocalStackError)?.code == .folderInUse && "\(error)".contains("process \(getpid())")
        }
        withExtendedLifetime(lock) {}
    }

    @Test func `a folder is free again once its user has gone`() throws {
        let folder = TestServers.makeFolder("unlocked")
        do { _ = try FolderLock(folder) }
        _ = try FolderLock(folder)
    }

    @Test func `a server that cannot start says why`() async throws {
        await #expect {
            _ = try await RedisServer.start(in: TestServers.makeFolder("bad"), options: ["--no-such-option", "1"])
        } throws: { error in
            "\(error)".contains("redis-server ended at its start")
        }
    }
}
