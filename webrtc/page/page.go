package page

import "net/http"

func Handler() http.Handler { return http.NotFoundHandler() }
func Whole() bool { return false }
