// What is said where the server cannot say it, for example because its queue is full.

() => "No answer came: the server is busy or out of reach. Try again in a minute.";
