import Foundation
import LocalStack
import TestSupport
import Testing

/// How many instructions a job takes in the program, in a debug build, counted by callgrind.
@Suite(.freshDatabase, .timeLimit(.minutes(10)))
struct InstructionTests {
    struct Failed: Error, CustomStringConvertible { let description: String }

    /// What the linker calls `HotPath.mark()`.
    private static let mark = "$s7HotPath4markyyF"

    @Test func `a job takes no more instructions than the table says`() async throws {
        let folder = TestServers.makeFolder("hot-path")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let built = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "HotPath")
        // Callgrind cannot read Swift's debugging information, and gives up.
        _ = try await run("strip", ["--strip-debug", "-o", "\(folder)/HotPath", built.path], folder)
        let output = try await run(
            "valgrind",
            [
                "--quiet", "--tool=callgrind", "--callgrind-out-file=\(folder)/counts", "--dump-before=\(Self.mark)",
                "\(folder)/HotPath", FreshDatabase.current.url,
            ],
            folder
        )
        CostTable.instructions.check(try Self.perItem(output, folder))
    }

    /// What one item of each part takes: the difference of two runs, divided by that of their items.
    private static func perItem(_ output: String, _ folder: String) throws -> [(name: String, value: Double)] {
        var names: [String] = []
        var counts: [String: [(items: Int, instructions: Int)]] = [:]
        for (number, line) in output.split(separator: "\n").enumerated() {
            let fields = line.split(separator: "\t")
            guard fields.count == 2, let items = Int(fields[1]) else { throw Failed(description: output) }
            guard items > 0 else { continue }
            let name = String(fields[0])
            if counts[name] == nil { names.append(name) }
            counts[name, default: []].append((items, try instructions("\(folder)/counts.\(number + 1)")))
        }
        return try names.map { name in
            guard let runs = counts[name]?.suffix(2), let few = runs.first, let many = runs.last,
                many.items > few.items
            else { throw Failed(description: "\(name) was not run twice") }
            return (name, Double(many.instructions - few.instructions) / Double(many.items - few.items))
        }
    }

    /// The sum of one of callgrind's files.
    private static func instructions(_ path: String) throws -> Int {
        let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("totals: ") }),
            let count = Int(line.dropFirst("totals: ".count))
        else { throw Failed(description: "\(path) has no totals") }
        return count
    }

    private func run(_ program: String, _ arguments: [String], _ folder: String) async throws -> String {
        let log = "\(folder)/\(program).log"
        guard FileManager.default.createFile(atPath: log, contents: nil) else { throw Failed(description: log) }
        let process = try LocalProcess(
            URL(filePath: "/usr/bin/env"),
            [program] + arguments,
            // Else each run of the program fills its hash tables in another way.
            environment: ["SWIFT_DETERMINISTIC_HASHING": "1"],
            output: FileHandle(forWritingAtPath: log)
        )
        await process.waitForExit()
        let output = String(decoding: try Data(contentsOf: URL(filePath: log)), as: UTF8.self)
        guard process.exitStatus == 0 else { throw Failed(description: "\(program) failed: \(output)") }
        return output
    }
}
