import Foundation
import LocalStack
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct JobsCommandTests {
    private struct Shown: Decodable { let id: Int64, state: String, key: String, value: String, queue: String }

    private struct Top: Decodable {
        struct Named: Decodable { let name: String }
        struct Node: Decodable { let votes: Bool }
        let queues: [Named], workers: [Named], nodes: [Node]
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ text: some StringProtocol) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    @Test func `a job is submitted, waited for, shown and listed`() async throws {
        try await TestSystem.with { system in
            func run(_ arguments: String..., status: Int32 = 0) async throws -> String {
                try await Program.run(["jobs"] + arguments, environment: system.environment, status: status)
            }
            let number = try await run("submit", "demo", "A", "--duration-ms", "0").trimmingCharacters(in: .newlines)
            let job = try #require(Int64(number))
            let waiting = try await run("show", number)
            #expect(waiting.contains("state        queued") && waiting.contains("why          no-worker: "))
            #expect(try await run("wait", number, "--timeout", "0", status: 2).contains("1 not finished: \(number)"))
            try await system.withWorkers(1) {
                #expect(try await run("wait", number).contains("1 succeeded"))
                let shown = try await run("show", number)
                #expect(shown.contains("state        succeeded") && shown.contains("attempt      1 of 20"))
                #expect(shown.matches(of: /ATTEMPT .* OUTCOME/).count == 1 && !shown.contains("why"))
                let json = try await run("submit", "demo", "B", "--duration-ms", "0", "--wait", "--json")
                let second = try Self.decode(Shown.self, json)
                #expect(second.id > job && second.state == "succeeded" && second.value == "B")
            }
            let list = try await run("list", "--key", "demo", "--state", "succeeded").split(separator: "\n")
            #expect(list.count == 3 && list[0].contains("STATE") && list[2].contains(" \(number)  succeeded  demo"))
            let objects = try await run("list", "--json", "--limit", "1").split(separator: "\n")
            #expect(try objects.map { try Self.decode(Shown.self, $0).value } == ["B"])
            #expect(try await run("show", "999999", status: 1).contains("there is no job 999999"))
            #expect(try await run("wait", number, "999999", "--json", status: 1).contains(#""missing":[999999]"#))
        }
    }

    @Test func `what a client chose as a key does not reach the terminal`() async throws {
        try await TestSystem.with { system in
            let arguments = ["jobs", "submit", "a\u{1B}[2Jb", "c\u{07}"]
            _ = try await Program.run(arguments, environment: system.environment)
            for command in [["jobs", "list"], ["jobs", "show", "1"], ["top", "--once"]] {
                let output = try await Program.run(command, environment: system.environment)
                #expect(!output.contains("\u{1B}") && !output.contains("\u{07}"))
            }
            let list = try await Program.run(["jobs", "list"], environment: system.environment)
            #expect(list.contains("a\\u{1B}[2Jb"))
        }
    }

    @Test func `jobs are cancelled, and failed ones run again`() async throws {
        try await TestSystem.with { system in
            func run(_ arguments: String..., status: Int32 = 0) async throws -> String {
                try await Program.run(["jobs"] + arguments, environment: system.environment, status: status)
            }
            _ = try await run("submit", "a", "1")
            #expect(try await run("retry", "1", status: 1).contains("job 1 is not finished"))
            #expect(try await run("cancel", "1").contains("Job 1 is cancelled."))
            #expect(try await run("cancel", "1", "77", status: 1).contains("there is no job 77"))
            #expect(try await run("wait", "1", status: 1).contains("1 cancelled: 1"))
            #expect(try await run("retry", "1", "--json").contains(#""state":"queued""#))
            // One that has no attempt left when it is first run fails.
            let doomed = try await run("submit", "b", "1", "--queue", "q", "--max-attempts", "1")
                .trimmingCharacters(in: .newlines)
            _ = try await system.texts("update holdfast.jobs set attempt = 1 where lock_key = 'b' returning lock_key")
            try await system.withWorker(arguments: ["--queues", "q"]) { _ in
                let waited = try await run("wait", doomed, status: 1)
                #expect(waited.contains("1 failed: \(doomed)"))
            }
            #expect(try await run("retry", "--failed", "--key", "other").contains("There is no such job."))
            #expect(try await run("retry", "--failed", "--queue", "q").contains("Job \(doomed) runs again."))
            try await system.withWorker(arguments: ["--queues", "q"]) { _ in
                let waited = try await run("wait", "--all", "--queue", "q")
                #expect(waited.contains("1 succeeded; 0 failed"))
            }
        }
    }

    @Test func `a hundred thousand jobs of a file are stored in its order`() async throws {
        try await TestSystem.with { system in
            let path = TestServers.makeFolder("jobs") + ".ndjson"
            var text = ""
            for number in 1...100_000 {
                text += #"{"key":"k\#(number % 1000)","value":"\#(number)","queue":"q"}"# + "\n"
            }
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let output = try await Program.run(["jobs", "submit", "--file", path], environment: system.environment)
            #expect(output.hasSuffix("100000 jobs are stored.\n"))
            #expect(try await system.count("select count(*) from holdfast.jobs") == 100_000)
            let outOfOrder = """
                select count(*)
                from (select value::bigint - lag(value::bigint) over (order by place) as step from holdfast.jobs) j
                where step <> 1
                """
            #expect(try await system.count(outOfOrder) == 0)
        }
    }

    @Test func `a bad line is named, what is before it is stored, and the rest can follow`() async throws {
        try await TestSystem.with { system in
            let path = TestServers.makeFolder("jobs") + ".ndjson"
            var lines = (1...1500).map { #"{"key":"k","value":"\#($0)"}"# }
            lines[1200] = #"{"key":"k"}"#
            // Blank lines are passed over, and the last needs no line feed.
            try ("\n" + lines.joined(separator: "\n")).write(toFile: path, atomically: true, encoding: .utf8)
            let submit = ["jobs", "submit", "--file"]
            let bad = try await Program.run(submit + [path], environment: system.environment, status: 1)
            #expect(bad.contains("line 1202: value is missing") && bad.contains("--from-line 1202"))
            #expect(try await system.count("select count(*) from holdfast.jobs") == 1200)
            lines[1200] = #"{"key":"k","value":"1201"}"#
            try ("\n" + lines.joined(separator: "\n")).write(toFile: path, atomically: true, encoding: .utf8)
            let shell = "\(Program.executable.path) jobs submit --file - --from-line 1202 --ids < \(path)"
            let rest = try await Tool.run(URL(filePath: "/bin/sh"), ["-c", shell], system.environment)
            #expect(rest.status == 0 && rest.output.split(separator: "\n").count == 300)
            #expect(try await system.count("select count(distinct value) from holdfast.jobs") == 1500)
            // A limit stops it before a batch, and says where.
            _ = try await Program.run(
                ["queues", "limit", "default", "--jobs", "2600"],
                environment: system.environment
            )
            let full = try await Program.run(submit + [path], environment: system.environment, status: 1)
            #expect(full.contains("queue default is full") && full.contains("--from-line 1002"))
            #expect(try await system.count("select count(*) from holdfast.jobs") == 2500)
        }
    }

    @Test func `queues, workers and nodes are listed`() async throws {
        try await TestSystem.with { system in
            func run(_ arguments: String..., status: Int32 = 0) async throws -> String {
                try await Program.run(arguments, environment: system.environment, status: status)
            }
            #expect(try await run("workers", status: 1).contains("No worker is alive"))
            _ = try await run("jobs", "submit", "k", "v", "--queue", "q")
            _ = try await run("queues", "pause", "q")
            #expect(
                try await run("queues").contains(
                    /\nq +1 +0 +1 +0 +[0-9].* s +paused; no worker takes kind lockAndSet, 1 line\n/
                )
            )
            #expect(try await run("queues", "list", "--json").contains(#""name":"q","paused":true"#))
            try await system.withWorker("first") { _ in
                let workers = try await run("workers")
                #expect(workers.contains(/first .*default +lockAndSet +1000 +0/))
                let json = try await run("workers", "--json")
                #expect(json.contains(#""name" : "first""#))
                let all = try await run("top", "--json")
                let shown = try Self.decode(Top.self, all)
                #expect(shown.queues.map(\.name) == ["q"] && shown.workers.map(\.name) == ["first"])
                #expect(shown.nodes.map(\.votes) == [true, true, true])
            }
            let nodes = try await run("nodes").split(separator: "\n")
            #expect(nodes.count == 5 && nodes[1...3].allSatisfy { $0.contains("  votes  ") })
            // The first has the values, too.
            #expect(nodes.last?.contains("  takes writes  ") == true)
            for node in system.stack.nodes.prefix(2) { await node.stop() }
            let away = try await run("nodes", "--json", status: 1).split(separator: "\n")
            #expect(away.count { $0.contains(#""votes":false"#) } == 2)
        }
    }

    @Test func `shells can complete commands`() async throws {
        for shell in ["bash", "zsh", "fish"] {
            let script = try await Program.run(["--generate-completion-script", shell])
            #expect(script.contains("submit") && script.contains("from-line"))
        }
    }
}
