import Foundation

/// Differences of one output from its reference, as the SDK computes them (`edgekit/drift/metrics.py`), in double
/// precision; nil where a metric does not apply.
public struct Metrics: Sendable {
    /// Signal to quantization noise ratio; nil: the two are identical, it is infinite.
    public var sqnrDB: Double?
    public var maxAbsError = 0.0
    public var meanAbsError = 0.0
    /// Per sample, averaged.
    public var cosine = 1.0
    /// Elements that are NaN or infinite; they are left out of the other numbers.
    public var nonFinite = 0
    public var top1Agreement: Double?
    public var top5Agreement: Double?
    public var klDivergence: Double?
    public var accuracy: Double?
    public var referenceAccuracy: Double?

    public init() {}

    /// All of them by the SDK's names.
    public var named: [(name: String, value: Double?)] {
        [
            ("sqnr_db", sqnrDB), ("max_abs_error", maxAbsError), ("mean_abs_error", meanAbsError), ("cosine", cosine),
            ("non_finite", Double(nonFinite)), ("top1_agreement", top1Agreement), ("top5_agreement", top5Agreement),
            ("kl_divergence", klDivergence), ("accuracy", accuracy), ("reference_accuracy", referenceAccuracy),
        ]
    }

    /// Measures how far `candidate` is from `reference`, both of the same shape, samples first.
    ///
    /// - Parameters:
    ///   - shape: Sizes; their product is the number of elements.
    ///   - logits: Whether the last axis holds unnormalised log probabilities of classes.
    ///   - labels: The true classes, one for each sample, if known.
    public static func measure(
        reference: [Double], candidate: [Double], shape: [Int], logits: Bool, labels: [Int64]?
    ) -> Metrics {
        precondition(reference.count == candidate.count && reference.count == shape.reduce(1, *) && !reference.isEmpty)
        let samples = shape[0], width = reference.count / samples
        let value = zip(reference, candidate).map { $1.isFinite ? $1 : $0 }
        let rows = (0..<samples).map { $0 * width..<($0 + 1) * width }
        let errors = zip(reference, value).map { abs($0 - $1) }

        var found = Metrics()
        found.nonFinite = candidate.count { !$0.isFinite }
        found.maxAbsError = errors.max()!
        found.meanAbsError = mean(rows.map { mean(errors[$0]) })
        found.sqnrDB = decibel(
            signal: mean(rows.map { sum(reference[$0]) { $0 * $0 } }), noise: mean(rows.map { sum(errors[$0]) { $0 * $0 } }))
        found.cosine = mean(rows.map { cosine(reference[$0], value[$0]) })
        guard logits, shape.count == 2, width >= 2 else { return found }

        // With a value that is not a number there is no answer: it agrees with nothing.
        let answered = rows.map { candidate[$0].allSatisfy(\.isFinite) }
        let theirs = rows.map { ranking(Array(reference[$0])) }, ours = rows.map { ranking(Array(value[$0])) }
        func agreement(_ k: Int) -> Double {
            mean((0..<samples).map { row in
                answered[row] ? Double(Set(theirs[row].prefix(k)).intersection(ours[row].prefix(k)).count) / Double(k) : 0
            })
        }
        found.top1Agreement = agreement(1)
        found.top5Agreement = agreement(min(5, width))
        found.klDivergence = mean(rows.map { divergence(reference[$0], value[$0]) })
        if let labels {
            found.accuracy = mean((0..<samples).map { answered[$0] && ours[$0][0] == labels[$0] ? 1 : 0 })
            found.referenceAccuracy = mean((0..<samples).map { theirs[$0][0] == labels[$0] ? 1 : 0 })
        }
        return found
    }

    /// A reference of all zeros has no signal: the ratio is taken against the least float32, so that it stays finite.
    private static func decibel(signal: Double, noise: Double) -> Double? {
        noise > 0 ? 10 * log10(max(signal, Double(Float.leastNormalMagnitude)) / noise) : nil
    }

    /// Two zero vectors have cosine 1.
    private static func cosine(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
        if a.elementsEqual(b) { return 1 }
        let lengths = sum(a) { $0 * $0 }.squareRoot() * sum(b) { $0 * $0 }.squareRoot()
        return lengths > 0 ? zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } / lengths : 0
    }

    private static func divergence(_ reference: ArraySlice<Double>, _ value: ArraySlice<Double>) -> Double {
        max(0, zip(logSoftmax(reference), logSoftmax(value)).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) })
    }

    private static func logSoftmax(_ logits: ArraySlice<Double>) -> [Double] {
        let largest = logits.max()!
        let total = log(sum(logits) { exp($0 - largest) })
        return logits.map { $0 - largest - total }
    }

    private static func mean(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

    private static func sum(_ values: ArraySlice<Double>, _ term: (Double) -> Double) -> Double {
        values.reduce(0) { $0 + term($1) }
    }
}

/// The indices of values, largest first; ties go to the lower index.
func ranking(_ values: [Double]) -> [Int] {
    values.indices.sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
}

/// A class with its probability, as a person sees it.
public struct Ranked: Sendable, Equatable {
    public let label: String
    public let probability: Double
}

/// Softmax in double precision, likeliest class first; without labels a class is called by its number.
public func classes(_ logits: [Double], labels: [String]) -> [Ranked] {
    guard let largest = logits.max() else { return [] }
    let powers = logits.map { exp($0 - largest) }
    let total = powers.reduce(0, +)
    let probabilities = powers.map { $0 / total }
    return ranking(probabilities).map { index in
        Ranked(label: labels.indices.contains(index) ? labels[index] : String(index), probability: probabilities[index])
    }
}
