import Foundation
import Holdfast
import Postgres
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct AuditCommandTests {
    @Test func `verify names what was tampered with, and the history can be read and taken elsewhere`() async throws {
        try await TestSystem.with { system in
            let environment = system.environment(for: "holdfast_auditor")
            func run(_ arguments: String..., status: Int32 = 0) async throws -> String {
                try await Program.run(arguments, environment: environment, status: status)
            }
            #expect(try await run("history", "k").contains("The history has no event of key k."))
            #expect(try await run("audit", "head", status: 1).contains("Nothing is sealed yet"))
            let job = try await system.withIntake { intake in
                try await system.withWorkers(1) {
                    let job = try await intake.submit("k", "v")
                    #expect(try await system.outcome(of: job).state == .succeeded)
                    try await eventually("it is sealed") {
                        try await system.count("select coalesce(sum(cardinality(ids)), 0) from holdfast.history_seals")
                            == 2
                    }
                    return job
                }
            }
            let head = try await run("audit", "head").trimmingCharacters(in: .newlines)
            let clean = try await run("audit", "verify", "--head", head)
            #expect(clean.contains("The history is in order.") && clean.contains("Newest seal: \(head)"))

            try await checkReading(job, run: { try await Program.run($0, environment: environment) })

            let id = try await system.count("select min(id) from holdfast.lock_history")
            try await system.pool.withTransaction { connection in
                try await connection.executeScript(
                    """
                    alter table holdfast.lock_history disable trigger user;
                    update holdfast.lock_history set reason = 'nothing happened' where id = \(id);
                    alter table holdfast.lock_history enable trigger user
                    """
                )
            }
            let found = try await run("audit", "verify", status: 1)
            #expect(found.contains("history \(id) was changed"))
            #expect(!found.contains("The history is in order."))
            let json = try await run("audit", "verify", "--json", status: 1)
            #expect(json.contains(#""seals":["history \#(id) was changed"]"#))
        }
    }

    /// What history, export and sql print of a job that succeeded.
    private func checkReading(_ job: Int64, run: ([String]) async throws -> String) async throws {
        let lines = try await run(["history", "k"]).split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].contains("acquired") && lines[0].contains("job \(job)") && lines[0].contains("granted"))
        #expect(lines[1].contains("released") && lines[1].contains("succeeded") && lines[1].contains("held "))
        #expect(try await run(["history", "k", "--last", "1"]).split(separator: "\n").count == 1)
        let objects = try await run(["history", "k", "--json"]).split(separator: "\n")
        let events = try objects.map { try JSONDecoder().decode(Event.self, from: Data($0.utf8)) }
        #expect(events.map(\.event) == ["acquired", "released"])

        let span = ["audit", "export", "--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"]
        let csv = try await run(span).split(separator: "\n")
        #expect(csv.count == 3 && csv[0].hasPrefix("id,at,event,lock_key,"))
        #expect(csv[1].contains(",acquired,k,\(job),"))
        let rows = try await run(span + ["--format", "ndjson"]).split(separator: "\n")
        #expect(try rows.map { try JSONDecoder().decode(Event.self, from: Data($0.utf8)).event } == events.map(\.event))
        let none = ["audit", "export", "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"]
        #expect(try await run(none).split(separator: "\n").count == 1)

        let sql = ["audit", "sql", "--", "-XAtc", "select current_user, count(*) from lock_holds"]
        #expect(try await run(sql) == "holdfast_auditor|1\n")
    }

    private struct Event: Decodable { let event: String }

    @Test func `a followed history shows what happens`() async throws {
        try await TestSystem.with { system in
            let program = try Program(
                ["history", "k", "--follow"],
                environment: system.environment(for: "holdfast_auditor")
            )
            try await program.whileRunning {
                try await system.withIntake { intake in
                    try await system.withWorkers(1) {
                        for _ in 1...2 { _ = try await system.outcome(of: try await intake.submit("k", "v")) }
                        try await eventually("four events are shown") {
                            program.output.split(separator: "\n").count == 4
                        }
                    }
                }
                #expect(program.output.matches(of: /acquired|released/).count == 4)
            }
        }
    }
}
