import Bench
import Foundation
import Testing

struct FigureTests {
    /// Three runs, beside a ceiling of 100.
    private func figure(_ values: [Double] = [60, 90, 70]) -> Figure {
        var figure = Figure("drain", "jobs/s", values)
        figure.ceiling = Samples([100])
        figure.details = [("p99", 12)]
        return figure
    }

    @Test(arguments: [
        (values: [3.0, 1, 2], median: 2.0, least: 1.0, most: 3.0),
        (values: [4.0, 1, 2, 3], median: 2.5, least: 1.0, most: 4.0),
        (values: [7.0], median: 7.0, least: 7.0, most: 7.0),
    ])
    func `samples tell their median and their spread`(values: [Double], median: Double, least: Double, most: Double) {
        let samples = Samples(values)
        #expect(samples.median == median)
        #expect(samples.minimum == least)
        #expect(samples.maximum == most)
    }

    @Test(arguments: [
        (aim: Aim.atLeast(70), isMet: true),
        (aim: .atLeast(70.5), isMet: false),
        (aim: .below(70), isMet: false),
        (aim: .below(70.5), isMet: true),
        (aim: .atLeast(0.7, .ratio), isMet: true),
        (aim: .atLeast(0.71, .ratio), isMet: false),
        (aim: .below(12.5, .detail("p99")), isMet: true),
        (aim: .below(12, .detail("p99")), isMet: false),
        (aim: .below(12, .detail("p50")), isMet: false),
    ])
    func `an aim is met by the median, the ratio or a detail; not by what was not measured`(aim: Aim, isMet: Bool) {
        #expect(aim.isMet(by: figure()) == isMet, "\(aim.text)")
    }

    @Test func `a ratio without a ceiling meets no aim`() {
        #expect(!Aim.atLeast(0, .ratio).isMet(by: Figure("drain", "jobs/s", [1])))
    }

    @Test func `a figure meets its aims when it meets all of them`() {
        var figure = figure()
        #expect(figure.isAimMet == nil)
        figure.aims = [.atLeast(70), .below(20, .detail("p99"))]
        #expect(figure.isAimMet == true)
        #expect(figure.row.contains("≥ 70, p99 < 20 met"))
        figure.aims.append(.atLeast(0.8, .ratio))
        #expect(figure.isAimMet == false)
        #expect(figure.row.contains("≥ 70, p99 < 20, ratio ≥ 0.8 MISSED"))
    }

    @Test func `a line of JSON has the figure, its ceiling, its aim and what belongs to it`() throws {
        var figure = figure()
        figure.aims = [.atLeast(0.6, .ratio)]
        let fields = try #require(
            JSONSerialization.jsonObject(with: Data(figure.json.utf8)) as? [String: any Sendable & Equatable]
        )
        #expect(fields["workload"] as? String == "drain")
        #expect(fields["unit"] as? String == "jobs/s")
        #expect(fields["median"] as? Double == 70)
        #expect(fields["min"] as? Double == 60)
        #expect(fields["max"] as? Double == 90)
        #expect(fields["runs"] as? Int == 3)
        #expect(fields["ceiling"] as? Double == 100)
        #expect(fields["ratio"] as? Double == 0.7)
        #expect(fields["aim"] as? String == "ratio ≥ 0.6")
        #expect(fields["met"] as? Bool == true)
        #expect(fields["p99"] as? Double == 12)
    }

    @Test func `what is no number is null`() throws {
        var figure = Figure("idle", "%", [.infinity])
        figure.details = [("MB", .nan)]
        let fields = try #require(JSONSerialization.jsonObject(with: Data(figure.json.utf8)) as? [String: Any])
        for name in ["median", "min", "max", "ceiling", "ratio", "MB"] { #expect(fields[name] is NSNull, "\(name)") }
    }

    @Test func `rows stand under the header`() throws {
        let place = try #require(Figure.header.firstRange(of: "ceiling")).lowerBound
        let column = Figure.header.distance(from: Figure.header.startIndex, to: place)
        #expect(figure().row.dropFirst(column).hasPrefix("100 "))
    }
}
