import Foundation
import Testing

@testable import Intake

struct LimitsTests {
    @Test func `README's table of limits has what the code has`() throws {
        let readme = URL(filePath: #filePath).appending(path: "../../../README.md").standardized
        let lines = try String(contentsOf: readme, encoding: .utf8).split(separator: "\n")
        let table = lines.drop { $0 != "| limit | default | beyond it |" }.dropFirst(2).prefix { $0.hasPrefix("|") }
        let limits = IntakeConfiguration()
        func count(_ number: Int) -> String { number.formatted(.number.locale(Locale(identifier: "en_US"))) }
        func seconds(_ duration: Duration) -> String { "\(duration.components.seconds) s" }
        let waits = Places(limit: limits.maxConnections / 2)
        let listeners = Places(limit: EventTailer.listenerLimit)
        let expected = [
            "\(limits.maxHeadBytes >> 10) KiB, \(limits.maxHeaderFields) fields",
            "\(IntakeContext.bodyLimit >> 20) MiB, unpacked",
            "\(BatchRoutes.byteLimit >> 20) MiB, unpacked; \(count(BatchRoutes.jobLimit)) jobs",
            "\(JSONParser.fieldLimit)", seconds(limits.headTimeout), seconds(limits.bodyTimeout),
            seconds(limits.requestTimeout), seconds(limits.writeTimeout), seconds(limits.idleTimeout),
            count(limits.maxConnections), "\(limits.waitingMegabytes) MiB",
            "\(count(waits.limit)); \(count(waits.tokenLimit)) for a token",
            "\(count(listeners.limit)); \(count(listeners.tokenLimit)) for a token",
        ]
        #expect(table.map { $0.split(separator: "|")[1].trimmingCharacters(in: .whitespaces) } == expected)
    }
}
