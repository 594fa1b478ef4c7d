import Foundation
import Holdfast
import Postgres
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct AuditRecipesTests {
    struct Recipe: Sendable, CustomTestStringConvertible {
        let question: String
        let query: String

        var testDescription: String { question }
    }

    /// The recipes of the article, as they stand there.
    static let recipes: [Recipe] = {
        let root = URL(fileURLWithPath: #filePath).appending(path: "../../..").standardized
        let path = root.appending(path: "Sources/Holdfast/Holdfast.docc/AuditRecipes.md").path
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        return String(decoding: data, as: UTF8.self).components(separatedBy: "\n## ").dropFirst().compactMap { part in
            guard let match = part.firstMatch(of: /(?s)```sql\n(.*?)```/) else { return nil }
            return Recipe(question: String(part.prefix { $0 != "\n" }), query: String(match.1))
        }
    }()

    /// How many rows each has: job 1 has been refused once and has run under its second fence, job 2 has invoice-8 now, and
    /// jobs 3 and 4 had invoice-9 at one time.
    private static let rows = [
        "Who held a key at a moment?": 1, "By whose votes did a job have its lock?": 3, "Why did a hold end?": 1,
        "Who held a key in a span of time?": 1, "What happened to a job?": 3, "Which keys are fought over?": 3,
        "Which lock nodes do badly?": 3, "What is held now, and for how long?": 1,
        "Which stale writes were turned away?": 1, "Was a promise broken?": 1,
    ]

    @Test func `there are ten recipes`() {
        #expect(Set(Self.recipes.map(\.question)) == Set(Self.rows.keys))
    }

    @Test(arguments: recipes)
    func `a recipe answers its question to the auditor`(recipe: Recipe) async throws {
        let database = FreshDatabase.current
        try await database.run(
            """
            insert into holdfast.lock_history (at, event, lock_key, job_id, attempt, fence, validity_us, waited_us, held_us,
                                               node_set, votes, outcome)
            values
                (clock_timestamp() - interval '10 seconds', 'acquired', 'invoice-7', 1, 1, 2, 30000000, 1000, null,
                 holdfast.node_set(array['r1', 'r2', 'r3']), array[1, 300, 1, 400, 4, 9000]::smallint[], null),
                (clock_timestamp() - interval '5 seconds', 'refused', 'invoice-7', 1, 1, 1, null, null, null, null, null, null),
                (clock_timestamp(), 'released', 'invoice-7', 1, 1, 2, null, null, 10000000, null, null, 'succeeded'),
                (clock_timestamp() - interval '5 seconds', 'acquired', 'invoice-8', 2, 1, 12, 30000000, 1000, null, null, null, null),
                (clock_timestamp() - interval '9 seconds', 'acquired', 'invoice-9', 3, 1, 20, 30000000, 1000, null, null, null, null),
                (clock_timestamp() - interval '5 seconds', 'acquired', 'invoice-9', 4, 1, 21, 30000000, 1000, null, null, null, null),
                (clock_timestamp() - interval '4 seconds', 'released', 'invoice-9', 4, 1, 21, null, null, 1000000, null, null, null),
                (clock_timestamp() - interval '1 second', 'released', 'invoice-9', 3, 1, 20, null, null, 8000000, null, null, null)
            """
        )
        try await database.run(
            """
            insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place, held_by, fence, claimed_at)
            values ('invoice-8', 'default', 'lockAndSet', 5, 1, 2, 1, 11, clock_timestamp() - interval '6 seconds')
            """
        )
        let rows = try await database.pool.withTransaction { connection in
            try await connection.executeScript("set local role holdfast_auditor")
            return try await connection.execute(Statement(name: "recipe", sql: recipe.query, isPrepared: false))
        }
        #expect(rows.count == Self.rows[recipe.question])
    }
}
