import ArgumentParser
import Foundation
import Postgres

extension AuditCommand {
    struct Export: AsyncParsableCommand {
        enum Format: String, ExpressibleByArgument, CaseIterable { case csv, ndjson }

        static let configuration = CommandConfiguration(
            abstract: "Write the history of a span of time to standard output.",
            discussion: """
                The columns of the view holdfast.events, with votes by name. Streamed, however long it is; sorted by time.

                Example:
                  holdfast audit export --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --format ndjson
                """
        )

        @Option(help: "The first moment, as in 2026-11-01T00:00:00Z.") var from: String
        @Option(help: "The first moment after it.") var to: String
        @Option(help: "csv, with a header, or ndjson: an object a line.") var format = Format.csv
        @OptionGroup var common: CommonOptions

        func validate() throws {
            for (flag, text) in [("--from", from), ("--to", to)] where PostgresTimestamp(rfc3339: text) == nil {
                throw ValidationError("\(flag) must be a time such as 2026-11-01T00:00:00Z, and is \(text).")
            }
        }

        func run() async throws {
            let settings = try await Settings(flags: common.values, file: common.configurationFile)
            let logger = try settings.makeLogger("audit").forShortUse
            let pool = PostgresPool(configuration: try settings.database("audit"), size: 1, logger: logger)
            defer { pool.close() }
            // COPY takes no parameters; what stands in it has been parsed, and is written anew.
            guard let since = PostgresTimestamp(rfc3339: from)?.rfc3339(.microseconds),
                let until = PostgresTimestamp(rfc3339: to)?.rfc3339(.microseconds)
            else { throw ValidationError("--from and --to must be times.") }
            let rows = """
                from holdfast.events h where h.at >= '\(since)' and h.at < '\(until)' order by h.at, h.id
                """
            let copy =
                switch format {
                case .csv: "copy (select h.* \(rows)) to stdout with (format csv, header)"
                // Characters that JSON always escapes: nothing is quoted.
                case .ndjson:
                    #"copy (select row_to_json(h) \#(rows)) to stdout with (format csv, quote E'\x01', delimiter E'\x02')"#
                }
            _ = try await pool.withConnection { connection in
                try await connection.copyOut(
                    Statement(name: "audit_export", sql: copy, isPrepared: false),
                    within: .seconds(3600)
                ) { bytes in
                    try FileHandle.standardOutput.write(contentsOf: Data(bytes))
                }
            }
        }
    }
}
