import ArgumentParser
import Foundation
import Holdfast
import Postgres
import Redis

/// The command `holdfast audit`.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Check the lock history, and take it elsewhere.",
        discussion: """
            All of it is for the role holdfast_auditor, which reads and changes nothing.

            Examples:
              holdfast audit verify
              holdfast audit verify --head 42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
              holdfast audit head
              holdfast audit export --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z > november.csv
              holdfast audit sql
            """,
        subcommands: [Verify.self, Head.self, Export.self, SQL.self]
    )

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that the history shows what Holdfast promises, and is what was written.",
            discussion: """
                Looks for holds of one key at one time, fences that went back, holds without an end, fences on the value \
                node that no record has, and rows and seals that were changed, removed or inserted. Prints what it finds, \
                and exits with 1 then. Prints the newest seal: kept elsewhere and given as --head later, it shows that \
                nothing before it was changed since, by nobody.
                """
        )

        @Option(help: "A seal that was printed before, such as 42:9f86….")
        var head: String?

        @Flag(help: "Print one line of JSON.")
        var json = false

        @OptionGroup var common: CommonOptions
        @OptionGroup var nodes: NodeOptions

        func validate() throws {
            guard let head, SealHead(head) == nil else { return }
            throw ValidationError("--head must be a number, a colon and 64 hexadecimal digits, as verify prints it.")
        }

        func run() async throws {
            let flags = common.values.merging(nodes.values) { $1 }
            let settings = try await Settings(flags: flags, file: common.configurationFile)
            let logger = try settings.makeLogger("audit").forShortUse
            let node = try settings.valueNode(logger)
            let pool = PostgresPool(configuration: try settings.database("audit"), size: 1, logger: logger)
            defer { pool.close() }
            let audit = Audit(pool: pool)
            let progress = Progress(isQuiet: json)
            var found: [(check: String, lines: [String])] = []
            for check in Audit.Check.allCases {
                if check == .unrecorded {
                    guard let node else {
                        progress.say("Not looked for: \(check.rawValue); give --value-node or --lock-nodes")
                        continue
                    }
                    let lines = try await progress.step("Looking for \(check.rawValue)") {
                        let connection = Task { await node.run() }
                        defer { connection.cancel() }
                        return try await audit.unrecordedEffects(on: node)
                    }
                    found.append((check.rawValue, lines))
                    continue
                }
                let lines = try await progress.step("Looking for \(check.rawValue)") {
                    try await audit.violations(check) { part in
                        if part > 0 { progress.say(" \(Int(part * 100)) %", end: "") }
                    }
                }
                found.append((check.rawValue, lines))
            }
            if let text = head, let kept = SealHead(text) {
                switch try await audit.knows(kept) {
                case true?: break
                case false?: found.append(("kept seal", ["seal \(kept.number) is not the one that was kept"]))
                case nil: found.append(("kept seal", ["the chain has no seal \(kept.number)"]))
                }
            }
            let newest = try await audit.head()
            try show(found, newest)
            guard found.allSatisfy(\.lines.isEmpty) else { throw ExitCode.failure }
        }

        private func show(_ found: [(check: String, lines: [String])], _ newest: String?) throws {
            if json {
                struct Report: Encodable {
                    let violations: [String: [String]]
                    let head: String?
                }
                let violations = Dictionary(uniqueKeysWithValues: found.map { ($0.check, $0.lines) })
                let data = try JSONEncoder().encode(Report(violations: violations, head: newest))
                return print(String(decoding: data, as: UTF8.self))
            }
            for line in found.flatMap(\.lines) { print(line) }
            if found.allSatisfy(\.lines.isEmpty) { print("The history is in order.") }
            print("Newest seal: \(newest ?? "none yet")")
        }
    }

    struct Head: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the newest seal, to be kept elsewhere.",
            discussion: "As in 42:9f86…: its number in the chain, and its SHA-256."
        )

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let head = try await common.withPool("audit") { pool, _ in try await Audit(pool: pool).head() }
            guard let head else {
                throw CommandFailure("Nothing is sealed yet: a worker does that, a second or two after it writes.")
            }
            print(head)
        }
    }
}
