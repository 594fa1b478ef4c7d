import Foundation
import LocalStack
import Postgres
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct ReadinessTests {
    @Test func `an intake is ready while its database is there and migrated, and says why not`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                #expect(try await intake.get("/readyz").status == 200)
                _ = try await system.texts(
                    "update holdfast.schema_migrations set version = 0 where version > 1 returning name"
                        .replacing("version = 0", with: "version = -version")
                )
                let old = try await intake.get("/readyz")
                #expect(old.status == 503 && old.body.contains("run holdfast migrate"))
                await system.stack.postgres.stop()
                let away = try await intake.get("/readyz")
                #expect(away.status == 503 && away.body.contains("the database is away"))
                #expect(away.headers["retry-after"] == "1")
                #expect(away.headers["content-type"] == "application/problem+json")
                #expect(try await intake.get("/healthz").status == 200)
                try await system.stack.postgres.start()
            }
        }
    }

    @Test func `a database that does not answer is noticed`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.pool.withTransaction { connection in
                    try await connection.executeScript("lock table holdfast.schema_migrations")
                    let silent = try await intake.get("/readyz")
                    #expect(silent.status == 503 && silent.headers["retry-after"] == "1")
                    #expect(try await intake.get("/healthz").status == 200)
                }
                #expect(try await intake.get("/readyz").status == 200)
            }
        }
    }

    @Test func `a worker tells on a port of its own whether it is ready`() async throws {
        try await TestSystem.with { system in
            let port = FreePort.find()
            try await system.withWorker(arguments: ["--health-port", "\(port)"]) { worker in
                let health = IntakeProcess(program: worker, base: "http://127.0.0.1:\(port)")
                try await eventually("it listens") { !FreePort.isFree(port) }
                #expect(try await health.get("/healthz").status == 200)
                try await eventually("it is ready") { try await health.get("/readyz").status == 200 }
                for node in system.stack.nodes.prefix(2) { await node.stop() }
                try await eventually("too few nodes") {
                    try await health.get("/readyz").body.contains(
                        "too few lock nodes vote; these do not: 127.0.0.1:\(system.stack.nodes[0].port) (not connected"
                    )
                }
                await system.stack.postgres.stop()
                try await eventually("no database") {
                    try await health.get("/readyz").body.contains("the database is away")
                }
                try await system.stack.postgres.start()
            }
        }
    }
}
