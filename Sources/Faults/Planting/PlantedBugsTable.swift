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

        func run() async throws {
            LocalProcess.endAllAtExit()
            print("bug | caught by | seeds, of at most")
            var escaped = 0
            for bug in only.map({ [$0] }) ?? PlantedBug.allCases {
                for hunt in bug.hunts where try await !Self.isCaught(bug, hunt) { escaped += 1 }
            }
            print(escaped == 0 ? "All were caught." : "\(escaped) not caught.")
            guard escaped == 0 else { throw ExitCode.failure }
        }

        private static func isCaught(_ bug: PlantedBug, _ hunt: Hunt) async throws -> Bool {
            for seed in 1...hunt.seedLimit {
                let rules = try await rulesBroken(by: bug, hunt, seed)
                guard !rules.isEmpty else { continue }
                print("\(bug.rawValue) | \(hunt.arguments[0]): \(rules) | \(seed) of \(hunt.seedLimit)")
                return true
            }
            print("\(bug.rawValue) | \(hunt.arguments[0]): nothing | \(hunt.seedLimit) of \(hunt.seedLimit)")
            return false
        }

        /// - Returns: The rules that a run with a bug was found to break; empty when it passed.
        private static func rulesBroken(by bug: PlantedBug, _ hunt: Hunt, _ seed: Int) async throws -> String {
            let folder = FileManager.default.temporaryDirectory.appending(path: "planted-\(getpid())-\(seed)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // What a run that failed leaves behind was to be expected.
            defer { try? FileManager.default.removeItem(at: folder) }
            let path = folder.appending(path: "output").path
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw ValidationError("cannot write \(path)")
            }
            let run = try LocalProcess(
                URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(),
                hunt.arguments + ["--seed", "\(seed)", "--plant", bug.rawValue],
                environment: ["TMPDIR": folder.path],
                output: FileHandle(forWritingAtPath: path),
                signalAtExit: SIGTERM
            )
            await run.waitForExit()
            let output = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            let broken = output.split(separator: "\n").first { $0.hasPrefix(Report.brokenLabel) }
            guard run.exitStatus == 0 || broken != nil else {
                throw ValidationError("\(bug.rawValue), seed \(seed): the run ended with no verdict:\n\(output)")
            }
            return broken.map { String($0.dropFirst(Report.brokenLabel.count)) } ?? ""
        }
    }
#endif
