import Foundation
import LocalStack
import Postgres

extension DevStack {
    /// A stack that serves: where everything is.
    struct Ready: Sendable, CustomStringConvertible {
        let servers: LocalStack
        let port: Int
        let pool: PostgresPool

        var intake: String { "http://127.0.0.1:\(port)" }

        /// For people.
        var description: String {
            """

            Holdfast is ready.
              dashboard    \(intake)/
              intake       \(intake)
              database     \(servers.databaseURL)
              lock nodes   \(servers.nodes.map(\.url).joined(separator: " "))
              value node   \(servers.nodes[0].url)
              data         \(servers.folder)

            Try:
              curl -i \(intake)/v1/jobs -H 'content-type: application/json' -d '{"key":"demo","value":"A","durationMs":3000}'
              curl \(intake)/getValue/demo
              psql '\(servers.databaseURL)' -c 'select at, event, lock_key, job_id, fence, worker_id from holdfast.lock_history order by id desc limit 10'
              redis-cli -p \(servers.nodes[2].port) shutdown nosave   # one lock node less: jobs run on

            Ctrl-C stops everything.
            """
        }

        /// For scripts: one line.
        func json() throws -> String {
            struct Line: Encodable {
                let intake, database, valueNode, dataFolder: String
                let lockNodes: [String]
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let line = Line(
                intake: intake,
                database: servers.databaseURL,
                valueNode: servers.nodes[0].url,
                dataFolder: servers.folder,
                lockNodes: servers.nodes.map(\.url)
            )
            return String(decoding: try encoder.encode(line), as: UTF8.self)
        }
    }
}
