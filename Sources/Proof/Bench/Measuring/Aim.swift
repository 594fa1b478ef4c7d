/// What a figure is to reach.
package struct Aim: Sendable {
    /// What of a figure is compared.
    package enum Quantity: Sendable {
        case median
        case ratio
        /// One of its details, by name.
        case detail(String)
    }

    private let quantity: Quantity
    private let limit: Double
    private let isUpperLimit: Bool

    package static func atLeast(_ limit: Double, _ quantity: Quantity = .median) -> Aim {
        Aim(quantity: quantity, limit: limit, isUpperLimit: false)
    }

    package static func below(_ limit: Double, _ quantity: Quantity = .median) -> Aim {
        Aim(quantity: quantity, limit: limit, isUpperLimit: true)
    }

    /// What was not measured does not reach its aim.
    package func isMet(by figure: Figure) -> Bool {
        let value =
            switch quantity {
            case .median: figure.samples.median
            case .ratio: figure.ratio
            case .detail(let name): figure.details.first { $0.name == name }?.value
            }
        guard let value else { return false }
        return isUpperLimit ? value < limit : value >= limit
    }

    /// As a person writes it.
    package var text: String {
        let name =
            switch quantity {
            case .median: ""
            case .ratio: "ratio "
            case .detail(let name): "\(name) "
            }
        return name + (isUpperLimit ? "< " : "≥ ") + (limit == limit.rounded() ? String(Int(limit)) : limit.short)
    }
}
