package weighting

import (
	"fmt"
)

// static keeps the weights of emotion and gender as given: J = sum_i p_i L_i. Uniform weights and one task alone are
// the baselines of Chae et al. 2018 (arXiv 1809.00758); Kurin et al. 2022 (arXiv 2201.04122) find that a tuned one is
// hard to beat.
type static [2]float64

func parseStatic(s, arg string, hasArg bool) (Method, error) {
	if !hasArg {
		return static{0.5, 0.5}, nil
	}
	var w static
	var rest string
	n, _ := fmt.Sscanf(arg+" end", "%g,%g %s", &w[0], &w[1], &rest)
	sum := w[0] + w[1]
	if n != 3 || rest != "end" || !(w[0] >= 0 && w[1] >= 0 && sum > 0 && sum <= 1e6) {
		return nil, fmt.Errorf("--weighting %q: want static:EMOTION,GENDER, two weights that are not negative, "+
			"such as static:0.7,0.3", s)
	}
	return static{w[0] / sum, w[1] / sum}, nil
}

func (w static) Name() string {
	if w[0] == w[1] {
		return "static"
	}
	return fmt.Sprintf("static:%g,%g", w[0], w[1])
}

func (w static) Joint(t *TaskLosses) JointLoss {
	return t.fixed(t.Constant([]float32{float32(w[0]), float32(w[1])}, 2))
}
