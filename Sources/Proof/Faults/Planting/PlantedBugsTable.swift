#if DEBUG
    import ArgumentParser
    import Foundation
    import LocalStack
    import PlantedBugs

    /// The command `holdfast-faults planted-bugs`.
    struct PlantedBugsTable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "planted-bugs",
            abstract: "Plant one bug after the other, and see by which rule and after how many seeds it is caught.",
            discussion: "Exits with 1 when one is not caught by as many seeds as it is given."
        )

        @Option(help: "Only this bug.")
        var only: PlantedBug?

        @Flag(help: "Only by simulation: it takes seconds, not minutes.")
        var simulated = false

        func run() async throws {
            LocalProcess.endAllAtExit()
            print("| bug | caught by | after so many seeds | of at most |\n|---|---|---|---|")
            var escaped = 0
            for bug in only.map({ [$0] }) ?? PlantedBug.allCases {
                for hunt in bug.hunts where !simulated || hunt.isSimulation {
                    let caught = try await Self.hunt(bug, hunt)
                    let place = "`\(hunt.arguments[0])`"
                    let how = caught.map { "\(place): \($0.rules) | \($0.seed)" } ?? "\(place): nothing | "
                    print("| `\(bug.rawValue)` | \(how) | \(hunt.seedLimit) |")
                    if caught == nil { escaped += 1 }
                }
            }
            print(escaped == 0 ? "All were caught." : "\(escaped) not caught.")
            guard escaped == 0 else { throw ExitCode.failure }
        }

        /// - Returns: The seed with which a run failed, and the rules that it broke; `nil` when none did.
        private static func hunt(_ bug: PlantedBug, _ hunt: Hunt) async throws -> (seed: Int, rules: String)? {
            for seed in stride(from: 1, through: hunt.seedLimit, by: hunt.seedsAtOnce) {
                let lines = try await output(of: hunt.arguments + ["--seed", "\(seed)", "--plant", bug.rawValue])
                guard let rules = lines.first(where: { $0.hasPrefix(Report.brokenLabel) }) else { continue }
                let failed = lines.lazy.compactMap { $0.firstMatch(of: /^Failed with seed (\d+)/) }.first
                return (failed.flatMap { Int($0.1) } ?? seed, String(rules.dropFirst(Report.brokenLabel.count)))
            }
            return nil
        }

        /// Runs this program to its end.
        ///
        /// - Returns: The lines that it printed.
        /// - Throws: When it ended without a verdict.
        private static func output(of arguments: [String]) async throws -> [Substring] {
            let folder = FileManager.default.temporaryDirectory.appending(path: "planted-\(getpid())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // What a run that failed leaves behind was to be expected.
            defer { try? FileManager.default.removeItem(at: folder) }
            let path = folder.appending(path: "output").path
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw ValidationError("cannot write \(path)")
            }
            let process = try LocalProcess(
                URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(),
                arguments,
                environment: ["TMPDIR": folder.path],
                output: FileHandle(forWritingAtPath: path),
                signalAtExit: SIGTERM
            )
            await process.waitForExit()
            let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            guard process.exitStatus == 0 || text.contains(Report.brokenLabel) else {
                throw ValidationError("\(arguments.joined(separator: " ")) ended with no verdict:\n\(text)")
            }
            return text.split(separator: "\n")
        }
    }
#endif
