import Holdfast
import Intake
import Postgres
import Redis
import TestSupport
import Testing

struct OpenAPITests {
    @Test func `the document has every route, and no other`() throws {
        let pool = PostgresPool(
            configuration: try PostgresConfiguration(connectionString: "postgresql:///none", applicationName: "test"),
            logger: .quiet
        )
        let intake = Intake(
            configuration: IntakeConfiguration(),
            pool: pool,
            values: ValueStore(node: RedisNode(try RedisEndpoint("redis://127.0.0.1:1"), logger: .quiet)),
            lockNodes: [],
            logger: .quiet
        )
        let served = Set(intake.routes.filter { !$0.hasPrefix("HEAD ") })
        #expect(Self.documented() == served)
    }

    /// The operations of the document, as in `GET /v1/jobs/{id}`; its paths and methods have lines of their own.
    private static func documented() -> Set<String> {
        var operations: Set<String> = []
        var path = ""
        for line in OpenAPIDocument.yaml.split(separator: "\n").drop(while: { $0 != "paths:" }).dropFirst() {
            if !line.hasPrefix(" ") { break }
            if line.hasPrefix("  /"), line.hasSuffix(":") { path = String(line.dropFirst(2).dropLast()) }
            for method in ["get", "post", "put", "patch", "delete"] where line == "    \(method):" {
                operations.insert("\(method.uppercased()) \(path)")
            }
        }
        return operations
    }
}
