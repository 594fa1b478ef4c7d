import Foundation
import TestSupport
import Testing

@testable import LocalStack

struct ServerProgramTests {
    /// A folder with programs of these names that do nothing.
    private func makePrograms(_ programs: ServerProgram...) throws -> URL {
        let folder = URL(fileURLWithPath: TestServers.makeFolder("programs"))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for program in programs {
            let path = folder.appendingPathComponent(program.rawValue).path
            _ = FileManager.default.createFile(
                atPath: path,
                contents: Data("#!/bin/sh\n".utf8),
                attributes: [.posixPermissions: 0o755]
            )
        }
        return folder
    }

    @Test(arguments: [ServerProgram.initdb, .postgres, .control, .basebackup, .psql, .createdb])
    func `PostgreSQL's programs come from the folder that is named`(program: ServerProgram) throws {
        let (named, installed) = (try makePrograms(program), try makePrograms(program))
        let path = try program.locate(in: ["HOLDFAST_POSTGRES_BIN": named.path, "PATH": installed.path]).path
        #expect(path == "\(named.path)/\(program.rawValue)")
    }

    @Test(arguments: [[:], ["HOLDFAST_POSTGRES_BIN": ""]])
    func `while no folder is named, they come from PATH`(environment: [String: String]) throws {
        let installed = try makePrograms(.postgres)
        let path = try ServerProgram.postgres.locate(in: environment.merging(["PATH": installed.path]) { $1 }).path
        #expect(path == "\(installed.path)/postgres")
    }

    @Test(arguments: [ServerProgram.initdb, .postgres, .control, .basebackup])
    func `a folder without a program that touches the data is an error`(program: ServerProgram) throws {
        let (named, installed) = (try makePrograms(.psql), try makePrograms(program))
        #expect {
            _ = try program.locate(in: ["HOLDFAST_POSTGRES_BIN": named.path, "PATH": installed.path])
        } throws: { error in
            let text = "\(error)"
            return (error as? LocalStackError)?.code == .programMissing && text.contains(program.rawValue)
                && text.contains("HOLDFAST_POSTGRES_BIN names \(named.path)") && text.contains("unset the variable")
        }
    }

    @Test(arguments: [ServerProgram.psql, .createdb])
    func `the installed client serves where the folder has none`(program: ServerProgram) throws {
        let (named, installed) = (try makePrograms(.initdb, .postgres), try makePrograms(program))
        let path = try program.locate(in: ["HOLDFAST_POSTGRES_BIN": named.path, "PATH": installed.path]).path
        #expect(path == "\(installed.path)/\(program.rawValue)")
    }

    @Test func `other programs do not come from PostgreSQL's folder`() throws {
        let (named, installed) = (try makePrograms(.redisServer), try makePrograms(.redisServer))
        let environment = ["HOLDFAST_POSTGRES_BIN": named.path, "PATH": installed.path]
        #expect(try ServerProgram.redisServer.locate(in: environment).path == "\(installed.path)/redis-server")
    }

    @Test func `a server is of the version of the programs that were found`() async throws {
        let server = try await TestServers.postgres()
        let version = try String(contentsOfFile: "\(server.folder)/data/PG_VERSION", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let (_, program) = try await server.run(.control, ["--version"])
        #expect(program.hasPrefix("pg_ctl (PostgreSQL) \(version)."), "\(program)")
    }

    @Test func `a folder that a server's user may not enter is found`() throws {
        let folder = try makePrograms(.postgres)
        let program = folder.appendingPathComponent("postgres")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.path)
        let (stranger, strangers) = (uid_t(64_000), gid_t(64_000))
        // It, or one above it that is closed too.
        let closed = try #require(ServerUser.closedFolder(above: program, to: stranger, of: strangers))
        #expect(folder.path.hasPrefix(closed))
        #expect(ServerUser.closedFolder(above: program, to: geteuid(), of: getegid()) == nil)
        let open = URL(fileURLWithPath: "/usr/bin/env")
        #expect(ServerUser.closedFolder(above: open, to: stranger, of: strangers) == nil)
    }
}
