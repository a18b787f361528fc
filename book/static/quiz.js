// Quizzes: check an answer, say why, remember it in this browser and nowhere else.
(() => {
  for (const quiz of document.querySelectorAll(".quiz")) {
    const form = quiz.querySelector("form");
    const [check, again] = form.querySelectorAll("button");
    const status = form.querySelector(".quiz-status");
    const options = [...form.querySelectorAll(".quiz-option")];
    const key = `quiz:${quiz.id}`;

    const show = (number) => {
      const chosen = options[number];
      const correct = chosen.dataset.correct === "true";
      const verdict = document.createElement("p");
      verdict.className = "quiz-verdict";
      verdict.textContent = correct ? "Correct." : "Not this one.";
      status.replaceChildren(
        verdict, ...chosen.querySelector(".quiz-feedback").cloneNode(true).childNodes);
      for (const element of [chosen, status]) {
        element.dataset.verdict = correct ? "correct" : "wrong";
      }
      chosen.querySelector(".quiz-mark").textContent = correct ? "your answer, correct" : "your answer";
      // A wrong answer does not give the right one away; the right one explains all others.
      for (const option of options) {
        option.querySelector("input").disabled = true;
        option.querySelector(".quiz-feedback").hidden = !correct || option === chosen;
      }
      check.hidden = true;
      again.hidden = false;
    };

    const clear = () => {
      status.replaceChildren();
      for (const element of [status, ...options]) delete element.dataset.verdict;
      for (const option of options) {
        option.querySelector("input").disabled = false;
        option.querySelector(".quiz-mark").textContent = "";
        option.querySelector(".quiz-feedback").hidden = true;
      }
      check.hidden = false;
      again.hidden = true;
    };

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const number = options.findIndex((option) => option.querySelector("input").checked);
      show(number);
      again.focus();
      remember(key, number);
    });

    form.addEventListener("reset", () => {
      clear();
      options[0].querySelector("input").focus();
      forget(key);
    });

    const before = recall(key);
    if (options[before]) {
      options[before].querySelector("input").checked = true;
      show(before);
    }
  }

  // Storage may be switched off; a quiz works without.
  function remember(key, number) {
    try { localStorage.setItem(key, number); } catch { /* not remembered */ }
  }

  function recall(key) {
    try { return localStorage.getItem(key); } catch { return null; }
  }

  function forget(key) {
    try { localStorage.removeItem(key); } catch { /* nothing to forget */ }
  }
})();
