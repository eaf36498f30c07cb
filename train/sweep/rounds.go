package sweep

import (
	"fmt"
	"math"
)

// Round is one of successive halving: so many trials, each trained up to so many epochs.
type Round struct {
	Trials int `json:"trials"`
	Epochs int `json:"epochs"` // from the start
}

// rounds returns those of successive halving (Jamieson and Talwalkar 2016; the bracket of Hyperband, Li et al. 2018):
// of n trials one in eta goes on from round to round, to eta times the epochs, and the last round ends at epochs. There
// are as many rounds as n and the first number of epochs allow. With eta below 2 there is one, of all trials.
func rounds(n, epochs, first, eta int) []Round {
	halvings := 0
	if eta >= 2 {
		for trials, e := n, float64(epochs); trials/eta >= 1 && e/float64(eta) >= float64(first); halvings++ {
			trials, e = trials/eta, e/float64(eta)
		}
	}
	var all []Round
	for i := range halvings + 1 {
		down := math.Pow(float64(eta), float64(halvings-i))
		all = append(all, Round{
			Trials: n, Epochs: max(int(math.Round(float64(epochs)/down)), 1),
		})
		n = max(n/max(eta, 1), 1)
	}
	return all
}

// cost returns how many epochs the rounds come to: trials that go on keep what they have learned.
func cost(all []Round) (epochs int) {
	before := 0
	for _, r := range all {
		epochs += r.Trials * (r.Epochs - before)
		before = r.Epochs
	}
	return epochs
}

// affordable returns the most trials whose rounds cost no more than a budget of epochs.
func affordable(budget, epochs, first, eta int) (int, error) {
	n := 0
	for n < maxTrials && cost(rounds(n+1, epochs, first, eta)) <= budget {
		n++
	}
	// A further halving may make more trials cheaper than fewer.
	for more := n + 1; more <= min(n*max(eta, 2)+eta, maxTrials); more++ {
		if cost(rounds(more, epochs, first, eta)) <= budget {
			n = more
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("--budget %d: one trial alone takes the recipe's %d epochs", budget, epochs)
	}
	return n, nil
}
