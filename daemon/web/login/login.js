// Shows a token once; the cookie that comes back is no script's to read.

const CSRF = "pitboss-csrf";
const form = document.getElementById("form");
const token = document.getElementById("token");
const error = document.getElementById("error");

async function enter(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  error.textContent = "";
  try {
    const answer = await fetch("/api/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: token.value }),
    });
    const said = await answer.json();
    if (answer.ok) {
      localStorage.setItem(CSRF, said.csrf);
      location.replace("/");
      return;
    }
    error.textContent = answer.status === 401 ? "This is not a token of the daemon." : said.error;
  } catch {
    error.textContent = "The daemon does not answer.";
  }
  button.disabled = false;
  token.select();
}

// Who follows a link from elsewhere comes here without the cookie that he has.
async function resume() {
  if (localStorage.getItem(CSRF) === null) return;
  const answer = await fetch("/api/session");
  if (answer.ok) location.replace("/");
  else localStorage.removeItem(CSRF);
}

form.addEventListener("submit", enter);
addEventListener("storage", () => resume().catch(() => {})); // somebody has logged in on another tab
resume().catch(() => {});
