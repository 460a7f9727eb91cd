Console.Error.WriteLine("understudy: no command is built yet");
return 2;
